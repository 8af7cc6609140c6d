package journal

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"syscall"
)

// Open opens the journal of a folder, or makes one. It removes a group that a crash left incomplete, and logs and skips
// damaged records. It refuses a folder that cannot be read and written, or that another process has open.
//
// It reads the newest segment, up to 64 MiB. The others are verified when they are read.
func Open(o Options) (*Journal, error) {
	if o.MaxBytes < LeastBytes {
		return nil, fmt.Errorf("a journal of %d bytes is too small: give it %d at least", o.MaxBytes, LeastBytes)
	}
	lock, err := lockFolder(o.Dir)
	if err != nil {
		return nil, err
	}
	j := &Journal{dir: o.Dir, max: o.MaxBytes, log: o.Log, lock: lock, sync: syncData, first: 1, next: 1}
	j.segmentSize = min(mostSegment, o.MaxBytes/segmentShare/pageSize*pageSize)
	if err := j.recover(); err != nil {
		if j.checkpoint != nil {
			_ = j.checkpoint.file.Close()
		}
		return nil, errors.Join(fmt.Errorf("cannot open the journal in %s: %w: let this user read and write the folder and all files in it", o.Dir, err), unlock(lock))
	}
	return j, nil
}

// lockAttempts is how often a folder is locked that vanishes meanwhile: each time another process has removed it.
const lockAttempts = 10

// lockFolder keeps other processes out, until the file is closed or this process is dead.
func lockFolder(dir string) (lock *os.File, err error) {
	for range lockAttempts {
		if lock, err = tryLock(dir); err == nil && isNamed(lock) {
			return lock, nil
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		if lock != nil {
			err = errors.Join(fmt.Errorf("the journal's folder %s is removed all the time: give this process a folder of its own", dir), lock.Close())
		}
	}
	return nil, err
}

func tryLock(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the journal's folder: %w: name a folder that this user may write", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot write to the journal's folder: %w: name a folder that this user may write", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("the journal in %s is in use by another process (%w): stop that one, or give this one a folder of its own", dir, err), lock.Close())
	}
	return lock, nil
}

const lockName = "lock"

// isNamed reports whether a file still has its name: one that was removed can be locked too, and keeps nobody out.
func isNamed(file *os.File) bool {
	open, err := file.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(file.Name())
	return err == nil && os.SameFile(open, named)
}

// unlock lets others in at once, even where a process that is just being started has the file open too.
func unlock(lock *os.File) error {
	return errors.Join(syscall.Flock(int(lock.Fd()), syscall.LOCK_UN), lock.Close())
}

// recover finds out what the journal holds.
func (j *Journal) recover() error {
	c, damaged, err := openCheckpoint(filepath.Join(j.dir, "checkpoint"))
	if err != nil {
		return err
	}
	j.checkpoint = c
	if damaged {
		j.log.Error("the journal's newest checkpoint is damaged: using the previous one, so records may be published again",
			"file", c.file.Name(), "before", c.before, "remedy", "check the disk")
	}
	if j.segments, err = listed(j.dir); err != nil {
		return err
	}
	if n := len(j.segments); n > 0 {
		j.number = j.segments[n-1].number
		if err := j.recoverLast(j.segments[n-1]); err != nil {
			return err
		}
		j.first, j.next = j.segments[0].first, j.segments[n-1].bound
	}
	if missing := int64(j.first - max(1, c.before)); missing > 0 {
		j.damaged += uint64(missing)
		j.log.Error("the oldest segments of the journal are missing: their records are lost", "folder", j.dir, "records", missing, "index", max(1, c.before),
			"remedy", "find out who removed files from this folder; events that were only in these records are lost")
	}
	j.first = max(j.first, c.before)
	j.next = max(j.next, j.first)
	j.retire()
	return syncFolder(j.dir)
}

// recoverLast finds the end of the newest segment, and cuts what is behind it. Nothing is ever added to it: the next group
// begins a segment, so that no group is written over half of another.
func (j *Journal) recoverLast(s *segment) error {
	file, err := os.OpenFile(j.path(s), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := syncData(file); err != nil { // a killed process may have left a group written, but not synced
		j.log.Error("cannot sync the newest segment of the journal: a later read may find it damaged",
			"file", j.path(s), "error", err, "remedy", "check the disk")
	}
	sc := &scanner{window: window{file: file, end: s.size}, seed: s.seed, end: s.size, want: s.first, bound: math.MaxUint64}
	tail := sc.tail()
	s.end, s.bound = tail.end, tail.next
	for _, lost := range tail.lost {
		j.tell(s, lost, sc.window.err)
	}
	if tail.torn > 0 {
		j.log.Warn("the last group in the journal is incomplete and is removed: the process died while it wrote the group, before it answered",
			"file", j.path(s), "offset", tail.end, "bytes", tail.torn)
	}
	if s.size == j.segmentSize && s.bound <= max(s.first, j.checkpoint.before) {
		return nil // all of it is settled: it will be written over
	}
	if file.Truncate(s.end) == nil { // it only saves room: the name of the next segment says where this one ends
		s.size = s.end
	}
	return nil
}
