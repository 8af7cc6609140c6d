package journal

import (
	"os"
	"testing"

	"pgregory.net/rapid"

	"github.com/sluicehq/sluice/internal/rig"
)

// However groups, checkpoints, ends and crashes follow each other: what was appended and not settled is there, in order,
// once.
func TestAnyOrderOfAppendCheckpointAndCrash(t *testing.T) {
	t.Parallel()
	disk := rig.SmallDisk(t, 32<<20) // in memory: a sync costs nothing there
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(disk.Path, "")
		if err != nil {
			rt.Fatal(err)
		}
		j, _ := openedWith(t, dir, LeastBytes)
		defer func() { crash(j); _ = os.RemoveAll(dir) }()
		first, next := uint64(1), uint64(1)
		rt.Repeat(map[string]func(*rapid.T){
			"append": func(rt *rapid.T) {
				n := rapid.IntRange(1, 20).Draw(rt, "records")
				if _, err := j.Append(contents(next, n)); err == nil {
					next += uint64(n)
				} else if j.Left() > LeastBytes/2 {
					rt.Fatalf("%v, and %d bytes are left", err, j.Left())
				}
			},
			"checkpoint": func(rt *rapid.T) {
				first = max(first, rapid.Uint64Range(1, next).Draw(rt, "before"))
				if err := j.Checkpoint(first); err != nil {
					rt.Fatal(err)
				}
			},
			"close": func(rt *rapid.T) {
				if err := j.Close(); err != nil {
					rt.Fatal(err)
				}
				j, _ = openedWith(t, dir, LeastBytes)
			},
			"crash": func(rt *rapid.T) {
				tearing := j.live != nil && rapid.Bool().Draw(rt, "while a group is written")
				crash(j)
				if tearing {
					group := j.encode(contents(next, rapid.IntRange(1, 5).Draw(rt, "records")))
					if len(group) <= int(j.live.size-j.live.end) {
						tear(t, j, group[:rapid.IntRange(0, len(group)-headSize).Draw(rt, "written")])
					}
				}
				j, _ = openedWith(t, dir, LeastBytes)
			},
			"": func(rt *rapid.T) {
				holds(rt, j, first, next)
				if j.Bytes() > LeastBytes {
					rt.Fatalf("%d bytes on disk", j.Bytes())
				}
			},
		})
	})
}

// tear leaves a part of a group behind the last one that was synced.
func tear(t testing.TB, j *Journal, part []byte) {
	t.Helper()
	file, err := os.OpenFile(j.path(j.live), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteAt(part, j.live.end); err != nil {
		t.Fatal(err)
	}
}
