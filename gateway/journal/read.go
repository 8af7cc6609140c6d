package journal

import (
	"bytes"
	"errors"
	"io"
	"os"
)

// ErrEnough ends a [Journal.Read] without an error.
var ErrEnough = errors.New("enough")

// Read gives the records from an index on to take, in order, up to what is synced; settled ones are left out. Each is
// verified by its checksum: a damaged one is skipped, counted, and logged once. It ends with the error of take, or where
// that is [ErrEnough]. A record is valid until take returns.
//
// Appending and checkpoints go on meanwhile. Memory is bounded by 256 KiB and one record.
func (j *Journal) Read(from uint64, take func(index uint64, record []byte) error) error {
	return j.read(from, func(r record) error { return take(r.index, r.content) })
}

func (j *Journal) read(from uint64, take func(record) error) error {
	var w window
	for limit := j.Next(); from < limit; {
		bound, err := j.readSegment(from, &w, take)
		if errors.Is(err, ErrEnough) {
			return nil
		}
		if err != nil || bound == 0 {
			return err
		}
		from = bound
	}
	return nil
}

// readSegment reads what one segment has from an index on, and returns the index to go on with, 0 for none.
func (j *Journal) readSegment(from uint64, w *window, take func(record) error) (bound uint64, err error) {
	s, sc, from := j.pin(from)
	if s == nil {
		return 0, nil
	}
	defer j.unpin(s)
	file, closeFile, err := j.openToRead(s)
	if err != nil {
		return 0, err
	}
	defer closeFile()
	sc.window = window{file: file, end: sc.end, bytes: w.bytes[:0]}
	defer func() { w.bytes = sc.window.bytes }()
	for sc.want < sc.bound {
		r, lost, found := sc.next()
		if found && r.rest == sealed {
			break
		}
		j.tell(s, lost, sc.window.err)
		if !found {
			break
		}
		j.remember(s, r)
		if r.index < from {
			continue
		}
		if err := take(r); err != nil {
			return 0, err
		}
	}
	return sc.bound, nil
}

// pin finds the segment with a record, or with the first one after it, and keeps it from being dropped.
func (j *Journal) pin(from uint64) (*segment, *scanner, uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	from = max(from, j.first)
	for _, s := range j.segments {
		if s.bound > from && s.bound > s.first {
			s.readers++
			m := s.near(from)
			return s, &scanner{seed: s.seed, at: m.offset, want: m.index, end: s.end, bound: s.bound}, from
		}
	}
	return nil, nil, from
}

func (j *Journal) unpin(s *segment) {
	j.mu.Lock()
	defer j.mu.Unlock()
	s.readers--
}

func (j *Journal) remember(s *segment, r record) {
	j.mu.Lock()
	defer j.mu.Unlock()
	s.remember(r.index, r.offset)
	s.latest = mark{r.index, r.offset}
}

// openToRead opens a segment. One that somebody has removed is as if all of it were damaged.
func (j *Journal) openToRead(s *segment) (io.ReaderAt, func(), error) {
	file, err := os.Open(j.path(s))
	if errors.Is(err, os.ErrNotExist) {
		return bytes.NewReader(nil), func() {}, nil
	}
	if err != nil {
		return nil, nil, err
	}
	return file, func() { _ = file.Close() }, nil
}

// tell says aloud what is damaged, once.
func (j *Journal) tell(s *segment, lost damage, cause error) {
	if lost.records == 0 {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if s.told[lost.offset] {
		return
	}
	s.told[lost.offset] = true
	j.damaged += lost.records
	attributes := []any{"file", j.path(s), "offset", lost.offset, "bytes", lost.bytes, "records", lost.records, "index", lost.first,
		"remedy", "check the disk: it lost or changed synced data; events that were only in these records are lost"}
	if cause != nil {
		attributes = append(attributes, "error", cause)
	}
	j.log.Error("the journal is damaged: skipping damaged records, reading all others", attributes...)
}
