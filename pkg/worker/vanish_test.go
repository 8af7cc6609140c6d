package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

// run runs a worker until the test ends, or stop is called.
func run(t *testing.T, w *worker) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.run(ctx) }()
	var stopped atomic.Bool
	stop = func() {
		cancel()
		if stopped.CompareAndSwap(false, true) {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(stop)
	return stop
}

// The team's consumer is removed while events flow: it is made again within seconds, where the team was, and says so.
func TestARemovedConsumerIsMadeAgainWhereTheTeamWas(t *testing.T) {
	h := newHub(t)
	const before = 300
	h.publish("before", before)
	var seen counter
	var total atomic.Int32
	var out lockedBuilder
	w := quickly(h.url, Team{Name: "team"}, Settings{}, func(_ context.Context, e *event.Event) error {
		seen.add(e.Identity)
		total.Add(1)
		return nil
	})
	w.log = slog.New(slog.NewTextHandler(&out, nil))
	run(t, w)
	h.settled("team")
	time.Sleep(lookedAfter)
	published := h.keepPublishing()
	for round := range 2 { // while a fetch is open, and right after
		if err := h.js.DeleteConsumer(t.Context(), stream.Events, "team"); err != nil {
			t.Fatal(err)
		}
		at := total.Load()
		eventually(t, "events are handled again", func() bool { return total.Load() > at+100 && strings.Count(out.String(), "removed from NATS") > round })
	}
	good, bad := published()
	h.settled("team")
	if got := len(seen.count); got != before+good+bad {
		t.Errorf("%d of %d events were handled", got, before+good+bad)
	}
	for n := range before {
		if identity := fmt.Sprintf("before-%d/0123456789abcdef", n); seen.get(identity) != 1 {
			t.Fatalf("%s, settled long before, was handled %d times", identity, seen.get(identity))
		}
	}
}

// lookedAfter is more than the worker takes to see its own position.
const lookedAfter = 4 * time.Second

// All of NATS's data is gone, and a gateway makes the streams anew: every event of the new stream is handled, also by a
// team that was to begin now.
func TestATeamGoesOnWhenTheStoreWasWiped(t *testing.T) {
	t.Parallel()
	server := rig.StartQuickNats(t, "")
	h := &hub{t: t, url: server.URL(), js: rig.JetStream(t, server.URL())}
	h.declare()
	var seen counter
	w := quickly(h.url, Team{Name: "team"}, Settings{Common: Common{Start: Start{now: true}}}, func(_ context.Context, e *event.Event) error { seen.add(e.Name); return nil })
	run(t, w)
	h.declared("team")
	h.publish("first", 10)
	eventually(t, "the first are handled", func() bool { return seen.get("first") == 10 })

	server.Wipe()
	eventually(t, "/readyz says that there are no streams", func() bool {
		d := dependency(w, "nats")
		return d.Status == telemetry.Down && strings.Contains(d.Detail, "EVENTS") && time.Since(d.Since) < time.Minute
	})
	h.declare()
	h.publish("second", 10)
	eventually(t, "the second are handled", func() bool { return seen.get("second") == 10 })
	eventually(t, "/readyz says that all is well", func() bool { return dependency(w, "nats").Status == telemetry.OK })
}

// The stream is deleted under a worker that looks at its backlog all the time.
func TestADeletedStreamIsWaitedFor(t *testing.T) {
	h := newHub(t)
	var got atomic.Int32
	w := quickly(h.url, Team{Name: "team"}, Settings{}, func(context.Context, *event.Event) error { got.Add(1); return nil })
	w.watchEvery = 5 * time.Millisecond
	run(t, w)
	h.declared("team")
	h.publish("before", 3)
	h.settled("team")
	if err := h.js.DeleteStream(t.Context(), stream.Events); err != nil {
		t.Fatal(err)
	}
	eventually(t, "/readyz says so", func() bool { return strings.Contains(dependency(w, "nats").Detail, "EVENTS") })
	h.declare()
	h.publish("after", 2)
	eventually(t, "the events of the new stream are handled", func() bool { return got.Load() == 5 })
}

// The sequences of a stream that is made anew begin with 1 again: what waits, or was given up, of the old one stays.
func TestEventsOfANewStreamReplaceNoCopiesOfTheOld(t *testing.T) {
	h := newHub(t)
	w := quickly(h.url, Team{Name: "team"}, Settings{}, func(_ context.Context, e *event.Event) error {
		if e.Name == "bad" {
			return Permanent(errors.New("no"))
		}
		return RetryAfter(time.Hour, errors.New("later"))
	})
	run(t, w)
	h.declared("team")
	for round := uint64(1); round <= 2; round++ {
		h.publish("late", 1)
		h.publish("bad", 1)
		eventually(t, fmt.Sprintf("%d wait and %d are dead", round, round), func() bool { return h.left(stream.Retry) == round && h.left(stream.Dead) == round })
		if err := h.js.DeleteStream(t.Context(), stream.Events); err != nil {
			t.Fatal(err)
		}
		h.declare()
		h.declared("team")
	}
}

func dependency(w *worker, name string) telemetry.Dependency {
	for _, d := range w.admin.Readiness().Dependencies {
		if d.Name == name {
			return d
		}
	}
	return telemetry.Dependency{}
}

func TestAWorkerIsNotReadyBeforeItIsConnected(t *testing.T) {
	t.Parallel()
	listener := rig.Address(t)
	w := quickly("nats://"+listener, Team{Name: "team"}, Settings{}, nil)
	if got := w.admin.Readiness(); got.Status != "starting" {
		t.Errorf("before the start: %+v", got)
	}
	begin := time.Now()
	run(t, w)
	eventually(t, "/readyz says that NATS is away", func() bool {
		d := dependency(w, "nats")
		return d.Status == telemetry.Down && d.Detail == "not connected yet" && !d.Since.Before(begin) && strings.Contains(d.Remedy, listener)
	})
	if got := w.admin.Readiness(); got.Status != "unavailable" {
		t.Errorf("%+v", got)
	}
}
