package journal

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/internal/rig"
)

// A checkpoint is written to one of two places, and then files are removed one by one, the oldest first. Wherever that
// ends, the checkpoint holds or the one before it.
func TestACrashWhileACheckpointIsMade(t *testing.T) {
	t.Parallel()
	disk := rig.SmallDisk(t, 64<<20).Path
	dir := filepath.Join(disk, "journal")
	j, _ := opened(t, dir)
	fill(t, j)
	if err := j.Checkpoint(20); err != nil {
		t.Fatal(err)
	}
	next, before := j.Next(), j.Next()*3/4
	was := copied(t, dir, filepath.Join(disk, "was"))
	if err := j.Checkpoint(before); err != nil {
		t.Fatal(err)
	}
	crash(j)
	place := int64(j.checkpoint.turn%2) * placeSize
	written := read(t, filepath.Join(dir, "checkpoint"))[place : place+placeSize]

	opens := func(name string, first uint64) {
		t.Helper()
		at := copied(t, was, filepath.Join(disk, name))
		j, log := opened(t, at)
		holds(t, j, first, next)
		if first == before {
			mustAppend(t, j, 50)
			holds(t, j, first, next+50)
		}
		if j.Bytes() > testBytes || strings.Contains(log.String(), "missing") {
			t.Fatalf("%s: %d bytes; said: %s", name, j.Bytes(), log)
		}
		crash(j)
		_ = os.RemoveAll(at)
	}
	checkpoint := filepath.Join(was, "checkpoint")
	whole := read(t, checkpoint)
	for n := range placeHead {
		torn := append([]byte(nil), whole...)
		copy(torn[place:], written[:n])
		if bytes.Equal(torn[place:place+placeHead], written[:placeHead]) {
			break // the rest of both is the same
		}
		write(t, checkpoint, torn)
		opens(fmt.Sprint("torn", n), 20)
	}
	copy(whole[place:], written)
	write(t, checkpoint, whole)
	opens("written", before)
	removed := 0
	for _, file := range segmentFiles(t, was) {
		if _, err := os.Stat(filepath.Join(dir, filepath.Base(file))); err == nil {
			continue
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		removed++
		opens(fmt.Sprint("removed", removed), before)
	}
	if removed < 3 {
		t.Fatalf("%d segments were removed", removed)
	}
}

// The file of a settled segment is written over under a new name. Until a group is in it, it is empty, whatever it holds.
func TestACrashAfterASettledSegmentGotItsNewName(t *testing.T) {
	t.Parallel()
	j, _ := opened(t, t.TempDir())
	for j.spare == nil {
		mustAppend(t, j, 20)
		if err := j.Checkpoint(j.Next() - 10); err != nil {
			t.Fatal(err)
		}
	}
	first, next := j.First(), j.Next()
	crash(j)
	if err := os.Rename(j.path(j.spare), j.path(newSegment(j.number+1, next, 1234, 0))); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		j, _ = opened(t, j.dir)
		holds(t, j, first, next)
		crash(j)
	}
	j, _ = opened(t, j.dir)
	mustAppend(t, j, 20)
	holds(t, j, first, next+20)
}

func TestACheckpointSaysWhatItCannotTake(t *testing.T) {
	t.Parallel()
	j, _ := opened(t, t.TempDir())
	mustAppend(t, j, 10)
	if err := j.Checkpoint(12); err == nil {
		t.Error("records were settled that are not there")
	}
	holds(t, j, 1, 11)
	for _, before := range []uint64{8, 3} {
		if err := j.Checkpoint(before); err != nil {
			t.Error(err)
		}
		holds(t, j, 8, 11)
	}
}
