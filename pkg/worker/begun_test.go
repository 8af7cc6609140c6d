package worker

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

// One attempt is all that an event has, and the worker is stopped and started while events come: every event gets it.
func TestAStopUsesUpNoAttempts(t *testing.T) {
	h := newHub(t)
	var handled counter
	handle := func(ctx context.Context, e *event.Event) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(30 * time.Millisecond):
		}
		handled.add(e.Identity)
		if e.Attempt != 1 {
			t.Errorf("%s: attempt %d after %v", e.Identity, e.Attempt, e.Failures)
		}
		return nil
	}
	published := h.keepPublishing()
	for range 5 {
		stop := h.start(Team{Name: "team"}, Settings{Concurrency: 2, Attempts: 1}, handle)
		before := h.given("team")
		eventually(t, "events are given out", func() bool { return h.given("team") > before+10 })
		stop()
	}
	good, bad := published()
	h.start(Team{Name: "team"}, Settings{Concurrency: 64, Attempts: 1}, handle)
	h.settled("team")
	if letters := h.left(stream.Dead); letters > 0 {
		t.Errorf("%d of %d events were dead-lettered, the first: %v", letters, good+bad, h.dead("team")[0].Header)
	}
	if len(handled.count) != good+bad {
		t.Errorf("%d of %d events were handled", len(handled.count), good+bad)
	}
}

// given is how many deliveries of EVENTS a team has had.
func (h *hub) given(team string) uint64 {
	c, err := h.js.Consumer(h.t.Context(), stream.Events, team)
	if err != nil {
		return 0
	}
	return c.CachedInfo().Delivered.Consumer
}

// What the handler depends on is away while the worker is stopped and started: what it holds has one attempt, and keeps it.
func TestRestartsDuringAnOutageUseUpNoAttempts(t *testing.T) {
	h := newHub(t)
	const count = 50
	h.publish("held", count)
	var failed, processed atomic.Int32
	for range 5 {
		failed.Store(0)
		stop := h.start(Team{Name: "team"}, Settings{Attempts: 1}, func(context.Context, *event.Event) error {
			failed.Add(1)
			return Unavailable(0, errAway)
		})
		before := h.given("team")
		eventually(t, "the outage is seen", func() bool { return failed.Load() > 0 && h.given("team") >= before+count })
		stop()
	}
	h.start(Team{Name: "team"}, Settings{Attempts: 1}, func(_ context.Context, e *event.Event) error {
		if processed.Add(1); e.Attempt != 1 {
			t.Errorf("attempt %d after %v", e.Attempt, e.Failures)
		}
		return nil
	})
	h.settled("team")
	if letters := h.left(stream.Dead); letters > 0 || processed.Load() != count {
		t.Errorf("%d events processed, %d given up", processed.Load(), letters)
	}
}

// An event that kills whatever handles it is found, and one that was only held by the same processes is not blamed.
func TestAnEventThatKillsItsProcessesIsSetApart(t *testing.T) {
	h := newHub(t)
	h.publish("killer", 1)
	h.publish("held", 1)
	var got sync.Map
	var starts atomic.Int32
	for deaths := 1; ; deaths++ {
		killed := make(chan struct{})
		dying := make(chan struct{})
		var w *worker
		w = quickly(h.url, Team{Name: "team", Key: func(*event.Event) string { return "one" }}, Settings{Attempts: 1}, func(_ context.Context, e *event.Event) error {
			if e.Name == "killer" && len(e.Failures) == 0 {
				starts.Add(1)
				w.nc.Close() // the process dies: nobody hears of it any more
				close(killed)
				<-dying
				return errAway
			}
			got.Store(e.Name, e)
			return nil
		})
		w.ackWait = time.Second
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- w.run(ctx) }()
		eventually(t, "it is killed, or nothing is left to do", func() bool {
			select {
			case <-killed:
				return true
			default:
				_, killer := got.Load("killer")
				_, held := got.Load("held")
				return killer && held
			}
		})
		cancel()
		close(dying)
		if err := <-ended; err != nil {
			t.Log(err) // it has lost NATS
		}
		if _, done := got.Load("killer"); done || deaths > 2*maxBegun {
			break
		}
	}
	for name, failures := range map[string]int{"killer": 1, "held": 0} {
		e, ok := got.Load(name)
		if !ok || len(e.(*event.Event).Failures) != failures {
			t.Errorf("%s: %+v", name, e)
		}
	}
	if n := starts.Load(); n != maxBegun+1 { // the first is not noted
		t.Errorf("it killed %d processes, want %d", n, maxBegun+1)
	}
}
