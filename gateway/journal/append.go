package journal

import (
	"errors"
	"fmt"
	"math"
	"os"
	"syscall"
	"time"
)

const keepBuffer = 4 << 20 // a larger group's is given back

// Append appends a group of records and returns the index of the first; the others follow it. When it returns, all of it
// is synced: it survives a power cut, and readers see it. With an error nothing of it is kept: [ErrFull] when MaxBytes
// would be passed or the disk is full, another error when the disk fails. Later groups are taken as soon as there is room,
// or the disk works.
//
// The records are the caller's, and not kept. Groups that are appended at the same time wait for each other.
func (j *Journal) Append(group [][]byte) (first uint64, err error) {
	j.appending.Lock()
	defer j.appending.Unlock()
	if j.closed {
		return 0, ErrClosed
	}
	if len(group) == 0 {
		return j.next, nil
	}
	size, err := groupSize(group)
	if err != nil {
		return 0, err
	}
	if j.live == nil || j.live.end+size > j.live.size {
		if err := j.begin(size); err != nil {
			return 0, err
		}
	}
	if err := j.write(j.encode(group)); err != nil {
		return 0, fullOr(errors.Join(fmt.Errorf("cannot write to the journal: %w", err), j.abandon()))
	}
	return j.publish(uint64(len(group)), size), nil
}

func groupSize(group [][]byte) (size int64, err error) {
	for _, content := range group {
		if int64(len(content)) > math.MaxUint32 {
			return 0, fmt.Errorf("a record has %d bytes: the journal takes up to %d", len(content), uint32(math.MaxUint32))
		}
		size += frameSize(len(content))
	}
	return size, nil
}

// release ends the live segment: what is in it stays, nothing is added.
func (j *Journal) release() {
	if j.file == nil {
		return
	}
	_ = j.file.Close() // all of it was synced
	j.mu.Lock()
	defer j.mu.Unlock()
	j.file, j.live = nil, nil
}

func (j *Journal) encode(group [][]byte) []byte {
	to, now := j.buffer[:0], time.Now().UnixNano()
	for i, content := range group {
		f := frame{index: j.next + uint64(i), time: now, rest: uint32(len(group) - 1 - i), place: uint32(i)}
		to = appendFrame(to, j.live.seed, f, content)
	}
	if j.buffer = to; cap(to) > keepBuffer {
		j.buffer = nil
	}
	return to
}

func (j *Journal) write(bytes []byte) error {
	if _, err := j.file.WriteAt(bytes, j.live.end); err != nil {
		return err
	}
	if err := j.sync(j.file); err != nil {
		return err
	}
	return j.isThere()
}

// isThere refuses what is synced to a file that somebody has removed: nobody would find it again.
func (j *Journal) isThere() error {
	var file syscall.Stat_t
	if err := syscall.Fstat(int(j.file.Fd()), &file); err != nil || file.Nlink > 0 {
		return os.NewSyscallError("fstat", err)
	}
	return fmt.Errorf("its files in %s were removed while it is open: start this process again", j.dir)
}

// publish lets readers see a group that is synced.
func (j *Journal) publish(records uint64, size int64) (first uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	first = j.next
	j.live.remember(first, j.live.end)
	j.next += records
	j.live.end += size
	j.live.bound = j.next
	return first
}

// abandon cuts the live segment after its last good group, and ends it: after a sync that failed, nobody knows what the
// disk has of that file, and a second sync would say yes to what is lost. The next group begins another segment, whose
// first index says that whatever the disk kept behind the cut is no record.
func (j *Journal) abandon() error {
	end := j.live.end
	err := errors.Join(j.file.Truncate(end), j.file.Sync())
	j.mu.Lock()
	j.live.size = end
	j.mu.Unlock()
	j.release()
	return err
}

// seal writes that nothing is missing at the end of the live segment.
func (j *Journal) seal() error {
	if j.live.end+headSize > j.live.size {
		return nil
	}
	return j.write(appendFrame(nil, j.live.seed, frame{index: j.next, time: time.Now().UnixNano(), rest: sealed}, nil))
}

// fullOr is an error, and [ErrFull] too when the disk is full.
func fullOr(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}
