// Package journal is an append-only log on the gateway's own disk. It takes a whole group of records with one sync.
//
// The log is a row of segments, files of 64 MiB at most. A record has a checksum over its index, length and content, so
// that what a crash or a disk did to it is found: the group that was being written when the process died is cut, a
// record that the disk has changed is logged and skipped. In both cases the journal opens.
//
// What is settled is dropped in whole segments, behind a checkpoint that survives crashes. One dropped segment is kept,
// to be written over: a disk syncs blocks that were written before about twice as fast as new ones.
//
// It is not hashicorp/raft-wal, which gives back a changed record of a sealed segment without an error, does not open when
// a segment's first bytes are damaged, and stores groups of 1, 24, 64 and 512 records at 0.9, 0.7, 0.6 and 0.5 of the rate.
package journal

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// ErrFull means that a group does not fit: nothing of it is kept. The journal accepts groups again as soon as there is
// room.
var ErrFull = errors.New("the journal is full")

// ErrClosed means that the journal is closed.
var ErrClosed = errors.New("the journal is closed")

// Options are what a journal is made of.
type Options struct {
	Dir      string       // its folder, of this journal alone; made where there is none
	MaxBytes int64        // what its segments may take on disk, at least [LeastBytes]
	Log      *slog.Logger // told of damage
}

// LeastBytes is the smallest size of a journal.
const LeastBytes = 64 << 10

const (
	mostSegment  = 64 << 20
	segmentShare = 8 // a journal has about so many segments at least, so that what is settled makes room in time
)

// Journal is an open journal. It is safe for concurrent use. It runs no goroutine, and of what lies in it only one mark
// of 16 bytes a MiB is in memory.
type Journal struct {
	dir         string
	max         int64
	segmentSize int64
	log         *slog.Logger
	lock        *os.File
	sync        func(*os.File) error // of a segment's records

	appending sync.Mutex // one group at a time; held while the disk syncs
	file      *os.File   // the live segment's
	buffer    []byte
	number    uint64 // of the newest segment
	closed    bool

	settling   sync.Mutex // one checkpoint at a time
	checkpoint *checkpoint

	mu       sync.Mutex // never held while the disk is waited for
	segments []*segment // oldest first
	live     *segment   // the last of them, or nil: the next group begins one
	spare    *segment   // settled, to be written over
	first    uint64     // the first record that is not settled
	next     uint64     // the index of the next record
	damaged  uint64
}

// First is the index of the oldest record that is not settled, or Next.
func (j *Journal) First() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.first
}

// Next is the index that the next record will have. The first of all has 1.
func (j *Journal) Next() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.next
}

// Depth is how many records are not settled, damaged ones among them.
func (j *Journal) Depth() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.next - j.first
}

// Damaged is how many records were found damaged since Open, and skipped.
func (j *Journal) Damaged() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.damaged
}

// Bytes is what the segments take on disk: room that is reserved for records is counted. It is never above MaxBytes,
// unless it was before Open.
func (j *Journal) Bytes() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.bytes()
}

func (j *Journal) bytes() (total int64) {
	for _, s := range j.segments {
		total += s.size
	}
	if j.spare != nil {
		total += j.spare.size
	}
	return total
}

// Left is how many bytes may be appended before MaxBytes is reached, 40 to 47 more than its length for each record. What
// is left on the disk is not looked at.
func (j *Journal) Left() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	left := j.max - j.bytes()
	if j.spare != nil {
		left += j.spare.size
	}
	if j.live != nil {
		left += j.live.size - j.live.end
	}
	return max(0, left)
}

// Oldest is when the oldest record was appended that is not settled, by the clock of that time. It is zero when there is
// none.
func (j *Journal) Oldest() (at time.Time) {
	_ = j.read(j.First(), func(r record) error {
		at = time.Unix(0, r.time)
		return ErrEnough
	})
	return at
}

func (j *Journal) path(s *segment) string { return filepath.Join(j.dir, s.name()) }

// Close writes down that no record is missing at the end, and unlocks the folder. Records are synced already when
// Append returns.
func (j *Journal) Close() error { return j.close(func() error { return nil }) }

// Remove closes a journal of which all is settled, and removes its files and its folder; a folder in which something else
// lies stays. Another process that opens it meanwhile makes a new one.
func (j *Journal) Remove() error {
	if n := j.Depth(); n > 0 {
		return fmt.Errorf("%d records of the journal in %s are not settled", n, j.dir)
	}
	return j.close(j.removeFiles)
}

// removeFiles removes the lock last: until then nobody else has the folder, and from then on nothing in it is ours.
func (j *Journal) removeFiles() error {
	entries, err := os.ReadDir(j.dir)
	for _, e := range entries {
		if e.Type().IsRegular() && e.Name() != lockName {
			err = errors.Join(err, os.Remove(filepath.Join(j.dir, e.Name())))
		}
	}
	if err = errors.Join(err, os.Remove(j.lock.Name())); err == nil {
		_ = os.Remove(j.dir) // unless somebody has it again
	}
	return err
}

func (j *Journal) close(last func() error) error {
	j.appending.Lock()
	defer j.appending.Unlock()
	j.settling.Lock()
	defer j.settling.Unlock()
	if j.closed {
		return ErrClosed
	}
	j.closed = true
	var err error
	if j.file != nil {
		err = errors.Join(j.seal(), j.file.Close())
	}
	return errors.Join(err, j.checkpoint.file.Close(), last(), unlock(j.lock))
}
