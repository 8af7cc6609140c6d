package files

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/sluicehq/sluice/internal/ops/replay"
	"github.com/sluicehq/sluice/pkg/event"
)

// Events are the events in the files of an archive, for a replay of what the stream has dropped.
type Events struct{ store Store }

// OpenEvents opens an archive to be read, and changes nothing there. A folder that is not there is an error.
func OpenEvents(ctx context.Context, place string) (*Events, error) {
	if err := Check(place); err != nil {
		return nil, err
	}
	root, isFile := strings.CutPrefix(place, "file://")
	if !isFile && strings.Contains(place, "://") {
		b, err := openBucket(ctx, place)
		return &Events{b}, err
	}
	if info, err := os.Stat(root); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("there is no archive at %s: %w", root, cmp.Or(err, fs.ErrNotExist))
	}
	return &Events{&folder{root}}, nil
}

// Close ends it.
func (e *Events) Close() { _ = e.store.Close() } // every read is complete

// ErrAnew means that the stream was made anew within what is selected, and counted from the beginning again.
var ErrAnew = errors.New("the stream was made anew within that time: choose one that ends before, or begins after")

// Read calls take for each selected event in the order of their sequences, with when the gateway took it, and ends with
// its first error. Files are read when their first event is due: what is in memory is what was written at about the
// same time.
func (e *Events) Read(ctx context.Context, s replay.Selection, headersOnly bool, take func(*event.Event, time.Time) error) error {
	names, err := e.find(ctx, &s)
	if err != nil {
		return err
	}
	m := merge{events: e, headersOnly: headersOnly, selected: &s}
	for _, f := range names {
		if err := m.until(f.First, take); err != nil {
			return err
		}
		if err := m.open(ctx, f); err != nil {
			return err
		}
	}
	return m.until(1<<63, take)
}

// file is one of the archive's, by its name.
type file struct {
	Span
	name, source, event string
}

// find lists the files that may have selected events, by their first sequence.
func (e *Events) find(ctx context.Context, s *replay.Selection) (found []file, err error) {
	err = e.walk(ctx, "", s, func(name string) {
		span, ours := SpanOf(name)
		source, isSource := column(name, "source")
		kind, isEvent := column(name, "event")
		if ours && isSource && isEvent && span.Last >= s.From && (s.To == 0 || span.First <= s.To) {
			found = append(found, file{span, name, source, kind})
		}
	})
	slices.SortFunc(found, func(a, b file) int { return cmp.Or(cmp.Compare(a.First, b.First), cmp.Compare(a.name, b.name)) })
	return found, err
}

// walk goes through the folders that may have selected events: source, event, date, hour.
func (e *Events) walk(ctx context.Context, prefix string, s *replay.Selection, take func(name string)) error {
	names, err := e.store.List(ctx, prefix)
	if err != nil {
		return fmt.Errorf("list %s: %w", cmp.Or(prefix, "the archive"), err)
	}
	for _, name := range names {
		name = strings.TrimSuffix(name, "/")
		switch {
		case strings.HasSuffix(name, Extension):
			take(name)
		case !strings.Contains(path.Base(name), "="), !mayHave(name, s):
		default:
			if err := e.walk(ctx, name+"/", s, take); err != nil {
				return err
			}
		}
	}
	return nil
}

// mayHave reports whether a folder may have selected events.
func mayHave(name string, s *replay.Selection) bool {
	if kind, known := column(name, "event"); known && len(s.Events) > 0 && !slices.ContainsFunc(s.Events, func(pattern string) bool { return event.Match(pattern, kind) }) {
		return false
	}
	date, known := column(name, "date")
	if !known {
		return true
	}
	begin, err := time.Parse(time.DateOnly, date)
	length := 24 * time.Hour
	if hour, known := column(name, "hour"); known && err == nil {
		var clock time.Duration
		clock, err = time.ParseDuration(hour + "h")
		begin, length = begin.Add(clock), time.Hour
	}
	return err == nil && begin.Add(length).After(s.Since) && (s.Until.IsZero() || begin.Before(s.Until))
}

// column is the value of a part of a path, such as source=zorio.
func column(name, key string) (string, bool) {
	for part := range strings.SplitSeq(name, "/") {
		if value, found := strings.CutPrefix(part, key+"="); found {
			value, err := url.PathUnescape(value)
			return value, err == nil
		}
	}
	return "", false
}

// merge gives out the events of several files by sequence.
type merge struct {
	events      *Events
	selected    *replay.Selection
	headersOnly bool
	waiting     []*event.Event // sorted
	at          map[*event.Event]time.Time
	last        *event.Event
}

// without is a Row without its body, which is not read then.
type without struct {
	Sequence int64     `parquet:"sequence,delta"`
	Received time.Time `parquet:"received,timestamp(microsecond:utc)"`
	Identity string    `parquet:"identity"`
	Headers  string    `parquet:"headers,json"`
}

func (m *merge) open(ctx context.Context, f file) error {
	content, err := m.events.store.Read(ctx, f.name)
	if err != nil {
		return fmt.Errorf("read %s: %w", f.name, err)
	}
	add := func(sequence int64, received time.Time, identity, headers string, body []byte) error {
		header := map[string][]string{}
		if err := json.Unmarshal([]byte(headers), &header); err != nil {
			return fmt.Errorf("%s: the headers of #%d: %w", f.name, sequence, err)
		}
		header[event.HeaderID] = []string{identity}
		e, err := event.Parse(event.Subject(f.source, f.event), header, body)
		if err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		if e.Sequence = uint64(sequence); m.meant(e, received) {
			m.waiting = append(m.waiting, e)
			m.at[e] = received
		}
		return nil
	}
	if m.at == nil {
		m.at = map[*event.Event]time.Time{}
	}
	if m.headersOnly {
		err = each(content, func(r *without) error { return add(r.Sequence, r.Received, r.Identity, r.Headers, nil) })
	} else {
		err = each(content, func(r *Row) error { return add(r.Sequence, r.Received, r.Identity, r.Headers, r.Body) })
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", f.name, err)
	}
	slices.SortStableFunc(m.waiting, func(a, b *event.Event) int { return cmp.Compare(a.Sequence, b.Sequence) })
	return nil
}

// each calls take for each row of a file.
func each[R any](content []byte, take func(*R) error) error {
	rows, err := parquet.Read[R](bytes.NewReader(content), int64(len(content)))
	for i := range rows {
		if err := take(&rows[i]); err != nil {
			return err
		}
	}
	return err
}

func (m *merge) meant(e *event.Event, at time.Time) bool {
	s := m.selected
	return e.Sequence >= s.From && (s.To == 0 || e.Sequence <= s.To) && !at.Before(s.Since) && (s.Until.IsZero() || at.Before(s.Until))
}

// until gives out what comes before a sequence.
func (m *merge) until(sequence uint64, take func(*event.Event, time.Time) error) error {
	given := 0
	for _, e := range m.waiting {
		if e.Sequence >= sequence {
			break
		}
		given++
		at := m.at[e]
		delete(m.at, e)
		switch {
		case m.last == nil || m.last.Sequence != e.Sequence:
		case m.last.Identity == e.Identity:
			continue // the same one, in two files
		default:
			return fmt.Errorf("#%d stands for two events: %w", e.Sequence, ErrAnew)
		}
		m.last = e
		if err := take(e, at); err != nil {
			return err
		}
	}
	m.waiting = slices.Delete(m.waiting, 0, given)
	return nil
}
