package journal

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestAReaderStopsWhereItIsTold(t *testing.T) {
	t.Parallel()
	j, _ := opened(t, t.TempDir())
	mustAppend(t, j, 1000)
	stop, seen := errors.New("stop"), 0
	err := j.Read(10, func(index uint64, _ []byte) error {
		if seen++; index == 500 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || seen != 491 {
		t.Errorf("%v after %d records", err, seen)
	}
}

// What is being read is not written over, however far it is settled meanwhile.
func TestAReaderIsNotOvertakenByACheckpoint(t *testing.T) {
	t.Parallel()
	j, log := openedWith(t, t.TempDir(), 4*pieceSize*segmentShare) // a segment is more than a reader has in memory
	for len(j.segments) < 4 {
		mustAppend(t, j, 200)
	}
	before, second := uint64(0), j.segments[1].first
	err := j.Read(0, func(index uint64, record []byte) error {
		if index <= before || before > 0 && before < second-1 && index != before+1 || !bytes.Equal(record, content(index)) {
			return fmt.Errorf("record %d came after %d, or changed", index, before)
		}
		for before == 0 && j.number < 10 {
			settled := second // alone, until it would have been written over
			if j.number > 6 {
				settled = j.Next() - 10
			}
			if err := j.Checkpoint(settled); err != nil {
				return err
			}
			mustAppend(t, j, 200)
		}
		before = index
		return nil
	})
	if err != nil || before < second || log.String() != "" {
		t.Errorf("%v after record %d; said: %s", err, before, log)
	}
	if err := j.Checkpoint(j.Next()); err != nil || len(j.segments) > 1 {
		t.Errorf("%d segments are left of a settled journal, %v", len(j.segments), err)
	}
}

func TestGroupsOfManyGoroutinesAreReadInOrderWhileTheyAreAppendedAndSettled(t *testing.T) {
	t.Parallel()
	j, log := opened(t, t.TempDir())
	const writers, groups, size = 4, 50, 7
	var writing sync.WaitGroup
	var mu sync.Mutex
	of := map[uint64]string{} // what was appended, by index
	for w := range writers {
		writing.Go(func() {
			for g := range groups {
				group := make([][]byte, size)
				for i := range group {
					group[i] = fmt.Appendf(nil, "%d/%d/%d %s", w, g, i, strings.Repeat("x", 500))
				}
				first, err := j.Append(group)
				for errors.Is(err, ErrFull) {
					time.Sleep(time.Millisecond)
					first, err = j.Append(group)
				}
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				for i := range group {
					of[first+uint64(i)] = string(group[i])
				}
				mu.Unlock()
			}
		})
	}
	read := map[uint64]string{}
	next, total := uint64(1), uint64(writers*groups*size)
	for deadline := time.Now().Add(time.Minute); next <= total && time.Now().Before(deadline); {
		err := j.Read(next, func(index uint64, record []byte) error {
			if index != next {
				return fmt.Errorf("record %d came where %d was to", index, next)
			}
			read[index], next = string(record), next+1
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := j.Checkpoint(next); err != nil {
			t.Fatal(err)
		}
		j.Oldest()
		j.Left()
	}
	writing.Wait()
	for index, want := range of {
		if read[index] != want {
			t.Fatalf("record %d is %q; want %q", index, read[index], want)
		}
	}
	if len(of) != int(total) || len(read) != int(total) || j.Depth() != 0 || log.String() != "" {
		t.Errorf("%d appended, %d read, %d left; said: %s", len(of), len(read), j.Depth(), log)
	}
}
