package journal

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/internal/rig"
)

// A process that dies while it writes a group leaves any part of it, in front of zeros or of what a file that is written
// over held before.
func TestAGroupThatIsNotWholeIsCutWhereverItEnds(t *testing.T) {
	t.Parallel()
	for _, over := range []string{"new blocks", "a file that is written over"} {
		t.Run(over, func(t *testing.T) {
			t.Parallel()
			j, _ := openedWith(t, rig.SmallDisk(t, 8<<20).Path, LeastBytes)
			mustAppend(t, j, 3)
			for over != "new blocks" && j.spare == nil {
				mustAppend(t, j, 3)
				if err := j.Checkpoint(j.Next() - 2); err != nil {
					t.Fatal(err)
				}
			}
			for range 20 { // the spare one becomes the live one
				mustAppend(t, j, 1)
			}
			live, end, first, next := j.path(j.live), j.live.end, j.First(), j.Next()
			before := read(t, live)
			if stale := bytes.Trim(before[end:], "\x00"); (len(stale) > 0) == (over == "new blocks") {
				t.Fatalf("%d stale bytes in %s", len(stale), over)
			}
			if _, err := j.Append([][]byte{bytes.Repeat([]byte("a"), 80), nil, bytes.Repeat([]byte("b"), 80)}); err != nil {
				t.Fatal(err)
			}
			after, size := read(t, live), j.live.end-end
			crash(j)
			for n := int64(0); n < size; n += size / int64(many(int(size))) {
				torn := bytes.Clone(before)
				copy(torn[end:], after[end:end+n])
				tornIsCut(t, j.dir, live, torn, first, next)
				tornIsCut(t, j.dir, live, torn[:end+n], first, next)
			}
		})
	}
}

func tornIsCut(t *testing.T, dir, live string, torn []byte, first, next uint64) {
	t.Helper()
	write(t, live, torn)
	j, log := openedWith(t, dir, LeastBytes)
	holds(t, j, first, next)
	mustAppend(t, j, 2)
	crash(j)
	added := j.path(j.live)
	j, _ = openedWith(t, dir, LeastBytes)
	holds(t, j, first, next+2)
	crash(j)
	if strings.Contains(log.String(), "level=ERROR") {
		t.Fatalf("said: %s", log)
	}
	if err := os.Remove(added); err != nil {
		t.Fatal(err)
	}
}

// A killed process may leave a whole group that was not synced. It is one, synced or not.
func TestAWholeGroupThatNobodyWasToldOfCounts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, _ := opened(t, dir)
	mustAppend(t, j, 3)
	group := j.encode(contents(4, 5))
	crash(j)
	tear(t, j, group)
	j, _ = opened(t, dir)
	holds(t, j, 1, 9)
}

// many is how many cases there are, fewer with the race detector, which has nothing to find in them.
func many(cases int) int {
	if rig.Race {
		return max(1, cases/10)
	}
	return cases
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	all, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func write(t testing.TB, path string, all []byte) {
	t.Helper()
	if err := os.WriteFile(path, all, 0o600); err != nil {
		t.Fatal(err)
	}
}

// copied is a copy of a journal's folder.
func copied(t testing.TB, dir, to string) string {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

// segmentFiles are the paths of a journal's segments, oldest first.
func segmentFiles(t testing.TB, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}
