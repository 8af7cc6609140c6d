package main

import (
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

// What was answered 200 outlives power cuts: at any moment under load, when an event is written and not synced, and again
// while the gateway starts. It is stored, once, and a team that acknowledged all it got gets every event. The gateway
// starts again by itself.
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
			l, team := g.load(), g.follower()
			for _, moment := range []*rig.PoweredDisk{disk, disk.When("*.blk"), disk} {
				l.more(t, 200)
				g.losePower(moment, seed())
				g.Start()
				time.Sleep(rand.N(150 * time.Millisecond)) // any moment of the start will do
				g.losePower(disk, seed())
				g.Start()
			}
			l.more(t, 100)
			l.balance(t, "nats://"+g.hub)
			team.hasAll(t, stored(t, g.js("nats://"+g.hub)))
		})
	}
}

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

// follower is a team that acknowledges every event as soon as it gets it.
type follower struct {
	mu  sync.Mutex
	got map[string]bool // by delivery id
}

func (g *gateway) follower() *follower {
	g.t.Helper()
	consumer, err := g.js("nats://"+g.hub).CreateConsumer(g.t.Context(), stream.Events, jetstream.ConsumerConfig{
		Durable: "team", AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 20_000, AckWait: 5 * time.Second,
	})
	if err != nil {
		g.t.Fatal(err)
	}
	t := &follower{got: map[string]bool{}}
	consuming, err := consumer.Consume(t.take, jetstream.PullHeartbeat(500*time.Millisecond), jetstream.PullExpiry(time.Second))
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(consuming.Stop)
	return t
}

func (t *follower) take(m jetstream.Msg) {
	t.mu.Lock()
	t.got[event.DeliveryOf(m.Headers().Get(event.HeaderID))] = true
	t.mu.Unlock()
	_ = m.Ack()
}

// hasAll waits until it has got all events that are stored.
func (t *follower) hasAll(test *testing.T, stored map[string]int) {
	test.Helper()
	missing := 0
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if missing = t.missing(stored); missing == 0 {
			return
		}
	}
	test.Errorf("%d of %d events never came to the team", missing, len(stored))
}

func (t *follower) missing(stored map[string]int) (count int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id := range stored {
		if !t.got[id] {
			count++
		}
	}
	return count
}
