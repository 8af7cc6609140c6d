package journal

import (
	"errors"
	"os"
	"syscall"
	"testing"

	"github.com/sluicehq/sluice/internal/rig"
)

// fill appends until the journal is full.
func fill(t testing.TB, j *Journal) {
	t.Helper()
	for {
		next := j.Next()
		first, err := j.Append(contents(next, 9))
		if errors.Is(err, ErrFull) {
			return
		}
		if err != nil || first != next {
			t.Fatalf("%d, %v", first, err)
		}
	}
}

func TestAFullJournalTakesGroupsAgainWhenSomeAreSettled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, _ := opened(t, dir)
	for range 3 {
		first := j.First()
		fill(t, j)
		next := j.Next()
		if j.Bytes() > testBytes || j.Left() > 9*frameSize(1000) {
			t.Fatalf("full, with %d bytes on disk and %d left", j.Bytes(), j.Left())
		}
		if next-first < uint64(testBytes)/uint64(2*frameSize(500)) {
			t.Fatalf("full with %d records", next-first)
		}
		holds(t, j, first, next)
		crash(j)
		j, _ = opened(t, dir)
		holds(t, j, first, next)
		if err := j.Checkpoint(first + (next-first)/2); err != nil {
			t.Fatal(err)
		}
		if left := j.Left(); left < testBytes/3 {
			t.Fatalf("half of it is settled, and %d bytes are left", left)
		}
	}
}

func TestAFullDiskIsAFullJournalUntilThereIsRoom(t *testing.T) {
	t.Parallel()
	disk := rig.SmallDisk(t, 4<<20)
	j, _ := openedWith(t, disk.Path, 8<<20)
	fill(t, j)
	next := j.Next()
	if j.Left() < 4<<20 || next < 1000 {
		t.Fatalf("%d bytes left of MaxBytes, %d records: it is not the disk that is full", j.Left(), next)
	}
	holds(t, j, 1, next)
	if err := j.Checkpoint(next); err != nil { // which needs no room
		t.Fatal(err)
	}
	mustAppend(t, j, 100)
	crash(j)

	disk.Fill(0)
	j, _ = openedWith(t, disk.Path, 8<<20)
	holds(t, j, next, next+100)
	disk.Empty()
	mustAppend(t, j, 100)
	holds(t, j, next, next+200)
}

// A file system that gives no blocks ahead is full in the middle of a group.
func TestAGroupThatTheDiskTookInPartIsNoGroup(t *testing.T) {
	t.Parallel()
	disk := rig.SmallDisk(t, 4<<20)
	j, _ := openedWith(t, disk.Path, 2<<20)
	mustAppend(t, j, 10)
	if err := os.Truncate(j.path(j.live), j.live.end); err != nil {
		t.Fatal(err)
	}
	disk.Fill(20 << 10)
	for range 3 {
		if _, err := j.Append(contents(j.Next(), 200)); !errors.Is(err, ErrFull) {
			t.Fatalf("appended to a full disk: %v", err)
		}
		holds(t, j, 1, 11)
	}
	crash(j)
	j, _ = openedWith(t, disk.Path, 2<<20)
	holds(t, j, 1, 11)
	disk.Empty()
	mustAppend(t, j, 200)
	holds(t, j, 1, 211)
}

// After a sync that failed nobody knows what the disk has: the group is none, in this process and after the next Open.
func TestASyncThatFailedIsNotTrusted(t *testing.T) {
	t.Parallel()
	disk := rig.SmallDisk(t, 8<<20)
	j, _ := opened(t, disk.Path)
	next := uint64(1)
	for range 3 {
		mustAppend(t, j, 10)
		next += 10
		j.sync = func(*os.File) error { return syscall.EIO }
		if _, err := j.Append(contents(next, 5)); !errors.Is(err, syscall.EIO) {
			t.Fatalf("a sync failed: %v", err)
		}
		crash(j)
		j, _ = opened(t, disk.Path)
		holds(t, j, 1, next)
	}
	for range 3 {
		mustAppend(t, j, 10)
		next += 10
		before := j.live
		j.sync = func(*os.File) error { return syscall.EIO }
		if _, err := j.Append(contents(next, 5)); !errors.Is(err, syscall.EIO) || errors.Is(err, ErrFull) {
			t.Fatalf("a sync failed: %v", err)
		}
		holds(t, j, 1, next)
		disk.Fill(0)
		j.sync = syncData
		if _, err := j.Append(contents(next, 5)); !errors.Is(err, ErrFull) {
			t.Fatalf("no segment can be made: %v", err)
		}
		disk.Empty()
		mustAppend(t, j, 1)
		if next++; j.live == before {
			t.Fatal("the segment whose sync failed is still written to")
		}
		holds(t, j, 1, next)
		crash(j)
		j, _ = opened(t, disk.Path)
		holds(t, j, 1, next)
	}
}

// What is written to files that somebody has removed is not kept, and nobody is told that it is.
func TestAJournalThatIsRemovedTakesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, _ := opened(t, dir)
	mustAppend(t, j, 3)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := j.Append(contents(4, 1)); err == nil || errors.Is(err, ErrFull) {
			t.Errorf("%v", err)
		}
	}
}
