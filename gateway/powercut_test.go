package main

import (
	"flag"
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

var powercuts = flag.Int("powercuts", 1, "rounds of the tests that cut the power")

// cutPower runs a test on a disk that keeps nothing but what was synced, and on one that keeps some of the rest.
func cutPower(t *testing.T, test func(t *testing.T, disk *rig.PoweredDisk, seed func() uint64)) {
	for name, seed := range map[string]func() uint64{
		"nothing else has reached the disk":     func() uint64 { return 0 },
		"some of the rest has reached the disk": rand.Uint64,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, rig.StartDisk(t), seed)
		})
	}
}

// What was answered 200 outlives power cuts: at any moment under load, when an event is written and not synced, during a
// checkpoint of the journal, and each time again while the gateway starts. It is stored, once, and a team that
// acknowledged all it got gets every event. The gateway starts again by itself.
func TestA2xxOutlivesAPowerCut(t *testing.T) {
	t.Parallel()
	cutPower(t, func(t *testing.T, disk *rig.PoweredDisk, seed func() uint64) {
		g := startGateway(t, "SLUICE_DATA="+disk.Path)
		l, team := g.load(), g.follower()
		for range *powercuts {
			for _, moment := range []*rig.PoweredDisk{disk, disk.When("*.blk", nil), disk.When("checkpoint", nil)} {
				l.more(t, 200)
				g.losePowerTwice(moment, disk, seed)
			}
		}
		l.more(t, 100)
		l.balance(t, "nats://"+g.hub)
		team.hasAll(t, stored(t, g.js("nats://"+g.hub)))
	})
}

// So does what was answered 200 while a NATS elsewhere was away, and what was being handed over to it.
func TestWhatWasSpilledOutlivesAPowerCut(t *testing.T) {
	t.Parallel()
	cutPower(t, func(t *testing.T, disk *rig.PoweredDisk, seed func() uint64) {
		nats := rig.StartNats(t, "")
		g := startGateway(t, "SLUICE_DATA="+disk.Path, "NATS_URL="+nats.URL(), "SLUICE_NATS_MONITOR=http://"+nats.Monitor)
		l := g.load()
		for range *powercuts {
			l.more(t, 100)
			nats.Kill()
			l.more(t, 200)
			g.losePowerTwice(disk.When("*.log", nil), disk, seed)
			l.more(t, 200)
			g.losePowerTwice(disk.When("checkpoint", nats.Restart), disk, seed) // of handing over
		}
		l.more(t, 100)
		l.balance(t, nats.URL())
	})
}

// losePowerTwice ends the gateway as a power cut does, at a moment, and then again at any moment of its start.
func (g *gateway) losePowerTwice(moment, disk *rig.PoweredDisk, seed func() uint64) {
	g.t.Helper()
	g.losePower(moment, seed())
	g.Start()
	time.Sleep(rand.N(150 * time.Millisecond))
	g.losePower(disk, seed())
	g.Start()
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
