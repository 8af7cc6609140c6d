package journal

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sluicehq/sluice/internal/rig"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("JOURNAL_APPENDS_IN"); dir != "" {
		appendForEver(dir)
	}
	goleak.VerifyTestMain(m)
}

const testBytes = 1 << 20 // 8 segments of 128 KiB

// opened is a journal of a folder, and what it logs.
func opened(t testing.TB, dir string) (*Journal, *rig.Buffer) {
	t.Helper()
	return openedWith(t, dir, testBytes)
}

func openedWith(t testing.TB, dir string, maxBytes int64) (*Journal, *rig.Buffer) {
	t.Helper()
	log := &rig.Buffer{}
	j, err := Open(Options{Dir: dir, MaxBytes: maxBytes, Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j, log
}

// crash gives the folder free as a process does that is killed.
func crash(j *Journal) {
	j.appending.Lock()
	defer j.appending.Unlock()
	j.closed = true
	if j.file != nil {
		j.file.Close()
	}
	j.checkpoint.file.Close()
	_ = unlock(j.lock)
}

// content is what the record of an index has: of a length between 0 and 1,000.
func content(index uint64) []byte {
	r := rand.New(rand.NewPCG(index, 0))
	all := make([]byte, r.IntN(1000))
	for i := range all {
		all[i] = byte(r.Uint32())
	}
	return all
}

// contents are those of a group.
func contents(first uint64, n int) (group [][]byte) {
	for i := range uint64(n) {
		group = append(group, content(first+i))
	}
	return group
}

// mustAppend appends a group of so many records.
func mustAppend(t testing.TB, j *Journal, n int) (first uint64) {
	t.Helper()
	want := j.Next()
	first, err := j.Append(contents(want, n))
	if err != nil || first != want {
		t.Fatalf("appended as %d, %v; want %d", first, err, want)
	}
	return first
}

// failer is a test, or one run of a property.
type failer interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

// indexes are those of all records from an index on. Each must have its content.
func indexes(t failer, j *Journal, from uint64) (all []uint64) {
	t.Helper()
	err := j.Read(from, func(index uint64, record []byte) error {
		if !bytes.Equal(record, content(index)) {
			t.Fatalf("record %d is not what was appended", index)
		}
		all = append(all, index)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// holds fails unless a journal has exactly the records from first until before next.
func holds(t failer, j *Journal, first, next uint64) {
	t.Helper()
	if j.First() != first || j.Next() != next || j.Depth() != next-first {
		t.Fatalf("first %d, next %d, depth %d; want %d, %d", j.First(), j.Next(), j.Depth(), first, next)
	}
	want := []uint64{}
	for i := first; i < next; i++ {
		want = append(want, i)
	}
	if got := indexes(t, j, 0); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("read %v; want %d until before %d", got, first, next)
	}
}

func TestWhatWasAppendedIsThereAfterTheNextOpen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, _ := opened(t, dir)
	holds(t, j, 1, 1)
	if first, err := j.Append(nil); first != 1 || err != nil {
		t.Fatalf("an empty group: %d, %v", first, err)
	}
	begin := time.Now()
	for n := range 40 {
		mustAppend(t, j, n)
	}
	holds(t, j, 1, 781)
	if got := indexes(t, j, 700); len(got) != 81 || got[0] != 700 {
		t.Errorf("from 700 on: %v", got)
	}
	if at := j.Oldest(); at.Before(begin.Add(-time.Second)) || at.After(time.Now().Add(time.Second)) {
		t.Errorf("the oldest record is of %s", at)
	}
	if err := j.Checkpoint(300); err != nil {
		t.Fatal(err)
	}
	holds(t, j, 300, 781)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Append(contents(781, 1)); !errors.Is(err, ErrClosed) {
		t.Errorf("append after close: %v", err)
	}
	if err := j.Checkpoint(781); !errors.Is(err, ErrClosed) {
		t.Errorf("checkpoint after close: %v", err)
	}

	again, log := opened(t, dir)
	holds(t, again, 300, 781)
	mustAppend(t, again, 5)
	holds(t, again, 300, 786)
	if err := again.Checkpoint(786); err != nil {
		t.Fatal(err)
	}
	if at := again.Oldest(); !at.IsZero() {
		t.Errorf("the oldest of none is of %s", at)
	}
	if log.String() != "" {
		t.Errorf("said: %s", log)
	}
}

func TestARecordMayBeAsLargeAsTheJournal(t *testing.T) {
	t.Parallel()
	j, _ := opened(t, t.TempDir())
	large := bytes.Repeat([]byte("large"), testBytes/6)
	for range 5 {
		if _, err := j.Append([][]byte{large}); err != nil {
			t.Fatal(err)
		}
		err := j.Read(0, func(_ uint64, record []byte) error {
			if !bytes.Equal(record, large) {
				return errors.New("it came back changed")
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := j.Checkpoint(j.Next()); err != nil {
			t.Fatal(err)
		}
	}
}

// What is settled makes room, on the disk too, and one segment of it is kept to be written over.
func TestWhatIsSettledLeavesTheDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, _ := opened(t, dir)
	for range 200 {
		mustAppend(t, j, 40)
		if err := j.Checkpoint(j.Next() - 20); err != nil {
			t.Fatal(err)
		}
		if got := onDisk(t, dir); got != j.Bytes() || got > testBytes {
			t.Fatalf("%d bytes are on disk, the journal knows of %d; at most %d", got, j.Bytes(), testBytes)
		}
	}
	if j.spare == nil {
		t.Error("no segment is kept to be written over")
	}
}

// onDisk is how many bytes the segments in a folder take.
func onDisk(t *testing.T, dir string) (total int64) {
	t.Helper()
	segments, err := listed(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range segments {
		total += s.size
	}
	return total
}

func TestAFolderHasOneJournal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, _ := opened(t, dir)
	_, err := Open(Options{Dir: dir, MaxBytes: testBytes, Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "in use by another process") || !strings.Contains(err.Error(), dir) {
		t.Fatalf("opened twice: %v", err)
	}
	_ = j.Close()
	opened(t, dir)
}

// Processes that open and remove the journal of one folder, as those do that adopt what another has left, never have it
// at the same time, and none is left with files that another has removed.
func TestAJournalThatIsRemovedIsNobodyElses(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "journal")
	var having atomic.Int32
	var used atomic.Int64
	var open sync.WaitGroup
	for range 16 {
		open.Go(func() {
			for range 100 {
				j, err := Open(Options{Dir: dir, MaxBytes: LeastBytes, Log: slog.New(slog.DiscardHandler)})
				if errors.Is(err, syscall.EWOULDBLOCK) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				used.Add(1)
				if having.Add(1) > 1 {
					t.Error("two have it")
				}
				first, err := j.Append(contents(1, 1))
				if _, gone := os.Stat(j.path(j.live)); err != nil || gone != nil {
					t.Error(err, gone)
				}
				err = j.Checkpoint(first + 1)
				having.Add(-1)
				if err := errors.Join(err, j.Remove()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	open.Wait()
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) || used.Load() == 0 {
		t.Errorf("%d had it; the folder: %v", used.Load(), err)
	}
}

// Who locks a file that was just removed has locked nothing.
func TestALockKnowsWhenItIsRemoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lock, err := tryLock(dir)
	if err != nil || !isNamed(lock) {
		t.Fatal("it has its name", err)
	}
	defer lock.Close()
	if err := os.Remove(lock.Name()); err != nil || isNamed(lock) {
		t.Error("it is removed", err)
	}
	next, err := tryLock(dir)
	if err != nil || isNamed(lock) || !isNamed(next) {
		t.Error("another one has its name", err)
	}
	defer next.Close()
}

func TestAJournalWithSomethingInItIsNotRemoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, _ := opened(t, dir)
	mustAppend(t, j, 3)
	if err := j.Remove(); err == nil {
		t.Error("it is removed")
	}
	holds(t, j, 1, 4)
}

func TestAFolderThatCannotBeUsedIsRefused(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below"), "/proc/journal"} {
		_, err := Open(Options{Dir: dir, MaxBytes: testBytes, Log: slog.New(slog.DiscardHandler)})
		if err == nil || !strings.Contains(err.Error(), "name a folder that this user may write") || !strings.Contains(err.Error(), filepath.Dir(dir)) {
			t.Errorf("%s: %v", dir, err)
		}
	}
	if _, err := Open(Options{Dir: t.TempDir(), MaxBytes: 100, Log: slog.New(slog.DiscardHandler)}); err == nil || !strings.Contains(err.Error(), "too small") {
		t.Errorf("100 bytes: %v", err)
	}
}
