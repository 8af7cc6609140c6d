package journal

import (
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
)

// Nothing that was synced is lost when the power goes while groups are appended and settled, and again right after the
// journal was opened: what an Open has shown is there at the next one.
func TestNothingSyncedIsLostInAPowerCut(t *testing.T) {
	t.Parallel()
	for name, seed := range map[string]func() uint64{
		"nothing else has reached the disk":     func() uint64 { return 0 },
		"some of the rest has reached the disk": rand.Uint64,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			disk := rig.StartDisk(t)
			p := rig.Start(t, os.Args[0], nil, rig.Environment("JOURNAL_APPENDS_IN="+disk.Path))
			for round := range 10 {
				if round > 0 {
					p.Start()
				}
				first, synced := cutWhileItAppends(t, disk, p, 150*(round%3)+3, seed())
				j := openedWhole(t, disk)
				if j.First() < first || j.Next() <= synced {
					t.Fatalf("it told of records %d to %d; there are %d until before %d", first, synced, j.First(), j.Next())
				}
				cut(disk, seed())
				crash(j)
				disk.Restore()
				again := openedWhole(t, disk)
				holds(t, again, j.First(), j.Next())
				crash(again)
			}
		})
	}
}

// cutWhileItAppends cuts the power after so many groups, and returns what the process told before.
func cutWhileItAppends(t *testing.T, disk *rig.PoweredDisk, p *rig.Process, groups int, seed uint64) (first, synced uint64) {
	t.Helper()
	begin := len(p.Output())
	rig.Eventually(t, 20*time.Second, "it appends", func() bool {
		return strings.Count(p.Output()[begin:], "synced") > groups || !p.Running()
	})
	cut(disk, seed)
	if p.Running() { // without a disk it may have ended by itself
		_ = syscall.Kill(p.PID(), syscall.SIGKILL)
	}
	p.Wait(10 * time.Second)
	disk.Restore()
	before, _, _ := strings.Cut(p.Output()[begin:], "checkpoint:") // its last words: the disk fails
	return told(t, before)
}

// cut takes the power away, with a seed so that some of what was not synced has reached the disk.
func cut(disk *rig.PoweredDisk, seed uint64) {
	if seed == 0 {
		disk.Cut()
	} else {
		disk.Tear(seed)
	}
}

// openedWhole is a journal in which a power cut has damaged nothing.
func openedWhole(t *testing.T, disk *rig.PoweredDisk) *Journal {
	t.Helper()
	j, log := opened(t, disk.Path)
	holds(t, j, j.First(), j.Next())
	if strings.Contains(log.String(), "level=ERROR") {
		t.Errorf("said: %s", log)
	}
	return j
}

// A group that was written and not synced when the process died may be read after the next Open, and then no power cut
// takes it away any more.
func TestWhatAnOpenHasShownIsNotLostInAPowerCut(t *testing.T) {
	t.Parallel()
	disk := rig.StartDisk(t)
	j, _ := opened(t, disk.Path)
	mustAppend(t, j, 3)
	j.sync = func(*os.File) error { return nil }
	mustAppend(t, j, 5)
	crash(j)
	shown := openedWhole(t, disk)
	disk.Cut()
	crash(shown)
	disk.Restore()
	holds(t, openedWhole(t, disk), 1, shown.Next())
}
