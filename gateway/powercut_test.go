package main

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
)

// losePower ends the gateway as a power cut does, and gives it its disk back, with what was synced. With a seed some of
// the rest has reached the disk too.
func (g *gateway) losePower(disk *rig.PoweredDisk, seed uint64) {
	g.t.Helper()
	if seed == 0 {
		disk.Cut()
	} else {
		disk.Tear(seed)
	}
	if g.Running() { // it may have ended by itself, without a disk
		_ = syscall.Kill(g.PID(), syscall.SIGKILL)
	}
	g.Wait(10 * time.Second)
	disk.Restore()
}

// What was answered 200 outlives a power cut under load, and another one while the gateway starts after it: it is stored,
// once, and the gateway starts again by itself.
func TestA2xxOutlivesAPowerCut(t *testing.T) {
	t.Parallel()
	for name, seed := range map[string]func() uint64{
		"nothing else has reached the disk":     func() uint64 { return 0 },
		"some of the rest has reached the disk": rand.Uint64,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			disk := rig.StartDisk(t)
			g := startGateway(t, "SLUICE_DATA="+disk.Path)
			l := g.load()
			for range 3 {
				l.more(t, 300)
				g.losePower(disk, seed())
				g.Start()
				time.Sleep(rand.N(150 * time.Millisecond)) // any moment of the start will do
				g.losePower(disk, seed())
				g.Start()
			}
			l.more(t, 100)
			l.balance(t, "nats://"+g.hub)
		})
	}
}
