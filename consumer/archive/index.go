package main

import (
	"context"
	"fmt"

	"github.com/sluicehq/sluice/consumer/archive/files"
)

// index knows what is in the files of the folders that were written to last. It is asked before anything is written, so
// that an event that comes again, because its acknowledgement was lost in a crash, is in one file: the files themselves
// are the record, and there is no other that could differ from them.
type index struct {
	store   files.Store
	folders map[string]*listing
}

// listing is what is known of one folder.
type listing struct {
	files  map[string]files.Span
	events map[string]map[uint64]string // identities by sequence, of the files that had to be read
}

func newIndex(s files.Store) *index { return &index{store: s, folders: map[string]*listing{}} }

// in is what is known of a folder. again says that it may have changed without us, by another instance or before the
// crash from which events come again.
func (x *index) in(ctx context.Context, folder string, again bool) (*listing, error) {
	if known := x.folders[folder]; known != nil && !again {
		return known, nil
	}
	names, err := x.store.List(ctx, folder)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", folder, err)
	}
	l := &listing{files: map[string]files.Span{}, events: map[string]map[uint64]string{}}
	for _, name := range names {
		if s, ok := files.SpanOf(name); ok {
			l.files[name] = s
		}
	}
	x.folders[folder] = l
	return l, nil
}

// has reports whether an event is in a file of the folder: under its sequence, and the same one, because a stream that
// was made anew counts from the beginning again.
func (x *index) has(ctx context.Context, l *listing, sequence uint64, identity string) (bool, error) {
	for name, s := range l.files {
		if !s.Contains(sequence) {
			continue
		}
		if l.events[name] == nil {
			content, err := x.store.Read(ctx, name)
			if err == nil {
				l.events[name], err = files.EventsIn(content)
			}
			if err != nil {
				return false, fmt.Errorf("read %s: %w: repair it, or move it away: then its redelivered events are written again", name, err)
			}
		}
		if there, ok := l.events[name][sequence]; ok && there == identity {
			return true, nil
		}
	}
	return false, nil
}

// freeName is a file name for a span that no file of the folder has.
func (l *listing) freeName(folder string, s files.Span) string {
	for copy := 0; ; copy++ {
		name := folder + s.FileName(copy)
		if _, taken := l.files[name]; !taken {
			return name
		}
	}
}

// keepOnly forgets the folders that are not wanted: what is known stays small.
func (x *index) keepOnly(wanted map[string]*part) {
	for folder := range x.folders {
		if wanted[folder] == nil {
			delete(x.folders, folder)
		}
	}
}
