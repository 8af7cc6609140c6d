package worker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

// keep publishes an event every 5 ms, 200 a second, until it is stopped; every hundredth is bad.
func (h *hub) keepPublishing() (stop func() (good, bad int)) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	var good, bad int
	all.Go(func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for n := 1; ctx.Err() == nil; n++ {
			<-tick.C
			name := "good"
			if n%100 == 0 {
				name = "bad"
				bad++
			} else {
				good++
			}
			msg := nats.NewMsg(event.Subject("zorio", name))
			msg.Header.Set(event.HeaderID, fmt.Sprintf("%d/0123456789abcdef", n))
			if _, err := h.js.PublishMsg(context.Background(), msg); err != nil {
				h.t.Error(err)
			}
		}
	})
	return func() (int, int) { cancel(); all.Wait(); return good, bad }
}

// The database is away for much longer than the attempts of an event last, which are four within 150 ms: no event is
// given up for it, and hardly an attempt is used up. Those that fail while others succeed are given up all the same.
func TestAnOutageUsesUpNoAttempts(t *testing.T) {
	h := newHub(t)
	var away atomic.Bool
	var processed, again, failing atomic.Int32
	h.start(Team{Name: "team"}, Settings{}, func(_ context.Context, e *event.Event) error {
		if away.Load() {
			failing.Add(1)
			return errAway
		}
		if e.Name == "bad" {
			return errors.New("a bad event")
		}
		processed.Add(1)
		if e.Attempt > 1 {
			again.Add(1)
		}
		return nil
	})
	stop := h.keepPublishing()
	eventually(t, "it works", func() bool { return processed.Load() > 300 })
	away.Store(true)
	eventually(t, "the outage lasts", func() bool { return failing.Load() > tripAfter+2 }) // three probes, 3.5 s
	before := processed.Load()
	away.Store(false)
	eventually(t, "work begins again", func() bool { return processed.Load() > before })
	eventually(t, "bad events are given up", func() bool { return h.left(stream.Dead) >= 3 })
	good, bad := stop()
	h.settled("team")
	if got := processed.Load(); int(got) != good {
		t.Errorf("%d of %d good events processed", got, good)
	}
	if n := again.Load(); n >= tripAfter {
		t.Errorf("%d events had an attempt used up by the outage", n)
	}
	outlasted := 0 // bad events that the first failures of the outage cost their last attempt
	for _, letter := range h.dead("team") {
		cause := letter.Header.Get(event.HeaderError)
		if !strings.HasSuffix(letter.Subject, ".bad") || cause != "a bad event" && cause != errAway.Error() {
			t.Errorf("given up: %s, %s", letter.Subject, cause)
		}
		if cause == errAway.Error() {
			outlasted++
		}
	}
	if outlasted >= tripAfter {
		t.Errorf("%d bad events were dead-lettered by the outage", outlasted)
	}
	if letters := h.left(stream.Dead); int(letters) != bad {
		t.Errorf("%d dead letters of %d bad events", letters, bad)
	}
}

// A batch of bad events alone looks like an outage. The first good one shows that it is none.
func TestBadEventsAloneAreHeldUntilAGoodOneComes(t *testing.T) {
	h := newHub(t)
	h.publish("bad", 20)
	var bad atomic.Int32
	h.start(Team{Name: "team"}, Settings{}, func(_ context.Context, e *event.Event) error {
		if e.Name == "bad" {
			bad.Add(1)
			return errors.New("bad")
		}
		return nil
	})
	eventually(t, "the bad ones have been tried", func() bool { return bad.Load() > tripAfter })
	h.publish("good", 1)
	h.settled("team")
	if n := h.left(stream.Dead); n != 20 {
		t.Errorf("%d dead letters of 20 bad events", n)
	}
}

// An event whose handler reports an outage again and again, while others succeed, is to blame itself.
func TestAnEventCannotBlameTheWorldForEver(t *testing.T) {
	h := newHub(t)
	h.publish("blames", 1)
	h.start(Team{Name: "team"}, Settings{Attempts: 1}, func(_ context.Context, e *event.Event) error {
		if e.Name == "blames" {
			return Unavailable(0, errAway)
		}
		return nil
	})
	stop := h.keepPublishing()
	eventually(t, "it is given up", func() bool { return h.left(stream.Dead) == 1 })
	good, bad := stop()
	h.settled("team")
	if letter := h.dead("team")[0]; letter.Subject != "dead.team.zorio.blames" || good+bad == 0 {
		t.Errorf("given up: %s", letter.Subject)
	}
}

// What has failed is told by the copy that waits: it outlives the process.
func TestAttemptsAndTheirErrorsAreCountedAcrossRestarts(t *testing.T) {
	h := newHub(t)
	h.publish("always", 1)
	for attempt := range 3 {
		tried := make(chan *event.Event, 1)
		stop := h.start(Team{Name: "team"}, Settings{}, func(_ context.Context, e *event.Event) error {
			tried <- e
			return RetryAfter(2*time.Second, fmt.Errorf("failure %d", e.Attempt))
		})
		if e := <-tried; e.Attempt != attempt+1 || len(e.Failures) != attempt || e.Sequence != 1 {
			t.Fatalf("attempt %d of #%d after the failures %v", e.Attempt, e.Sequence, e.Failures)
		}
		h.settledBut(1, "team")
		stop()
	}
	h.start(Team{Name: "team"}, Settings{}, func(context.Context, *event.Event) error { return errors.New("failure 4") })
	h.settled("team")
	letters := h.dead("team")
	if len(letters) != 1 {
		t.Fatalf("%d dead letters", len(letters))
	}
	failures := letters[0].Header[event.HeaderFailure]
	for n, line := range failures {
		if !strings.HasSuffix(line, fmt.Sprint(" failure ", n+1)) {
			t.Errorf("failure %d: %s", n+1, line)
		}
	}
	if len(failures) != 4 || letters[0].Header.Get(event.HeaderAttempts) != "4" {
		t.Errorf("failures %q, attempts %s", failures, letters[0].Header.Get(event.HeaderAttempts))
	}
}

func (h *hub) replay(team string, count int) {
	h.t.Helper()
	for n := range count {
		msg := nats.NewMsg(event.ReplaySubject(team, "zorio", "old"))
		msg.Header.Set(event.HeaderIdentity, fmt.Sprintf("%d/0123456789abcdef", n))
		msg.Header.Set(event.HeaderReplay, "r1")
		msg.Header.Set(event.HeaderSequence, "7")
		if _, err := h.js.PublishMsg(h.t.Context(), msg); err != nil {
			h.t.Fatal(err)
		}
	}
}

func TestAReplayTakesAQuarterOfTheSlots(t *testing.T) {
	h := newHub(t)
	h.replay("team", 40)
	h.replay("other", 1)
	var replayed, running, live atomic.Int32
	release := make(chan struct{})
	h.start(Team{Name: "team"}, Settings{Concurrency: 8}, func(_ context.Context, e *event.Event) error {
		if e.Replay == "" {
			live.Add(1)
			return nil
		}
		if running.Add(1) > 2 {
			t.Error("a replay takes more than a quarter of the slots")
		}
		if e.Replay != "r1" || e.Sequence != 7 || e.Name != "old" {
			t.Errorf("replayed as %+v", e)
		}
		<-release
		running.Add(-1)
		replayed.Add(1)
		return nil
	})
	eventually(t, "the replay runs", func() bool { return running.Load() == 2 })
	h.publish("now", 20)
	eventually(t, "what happens now is processed meanwhile", func() bool { return live.Load() == 20 })
	close(release)
	eventually(t, "the replay ends", func() bool { return replayed.Load() == 40 && h.left(stream.Replay) == 1 })
}

func TestInstancesShareTheWork(t *testing.T) {
	h := newHub(t)
	var first, second counter
	for _, seen := range []*counter{&first, &second} {
		h.start(Team{Name: "team"}, Settings{Concurrency: 1}, func(_ context.Context, e *event.Event) error {
			seen.add(e.Identity)
			time.Sleep(time.Millisecond)
			return nil
		})
	}
	eventually(t, "both ask for events", func() bool {
		c, err := h.js.Consumer(t.Context(), stream.Events, "team")
		return err == nil && c.CachedInfo().NumWaiting > 1
	})
	h.publish("shared", 300)
	h.settled("team")
	for identity, count := range first.count {
		if count+second.count[identity] != 1 {
			t.Errorf("%s was handled %d times", identity, count+second.count[identity])
		}
	}
	if len(first.count)+len(second.count) != 300 || len(first.count) == 0 || len(second.count) == 0 {
		t.Errorf("one handled %d events, the other %d", len(first.count), len(second.count))
	}
}

// What the handler depends on asks to be left alone: what was already on its way to it is held back too.
func TestWhatIsUnavailableGetsNoMoreThanWhatHadBegun(t *testing.T) {
	h := newHub(t)
	const concurrency = 4
	h.publish("many", heldPerSlot*concurrency)
	var calls atomic.Int32
	var w *worker
	w = quickly(h.url, Team{Name: "team"}, Settings{Concurrency: concurrency}, func(context.Context, *event.Event) error {
		if calls.Add(1) <= concurrency {
			eventually(t, "the others wait for a place", func() bool { return w.lanes.inFlight() == heldPerSlot*concurrency })
		}
		return Unavailable(time.Hour, errAway)
	})
	run(t, w)
	eventually(t, "the breaker has tripped", func() bool {
		d := dependency(w, "handler")
		return calls.Load() > 0 && strings.Contains(d.Detail, "the handler reports that what it depends on is unavailable: "+errAway.Error())
	})
	eventually(t, "everything waits in front of it", func() bool {
		w.breaker.mu.Lock()
		defer w.breaker.mu.Unlock()
		return len(w.breaker.waiting) == heldPerSlot*concurrency
	})
	if calls.Load() > concurrency {
		t.Errorf("%d attempts with %d places", calls.Load(), concurrency)
	}
}

// Where an event has one attempt the first failures of an outage would be their events' last.
func TestAnOutageDoesNotUseUpAnOnlyAttempt(t *testing.T) {
	h := newHub(t)
	var away atomic.Bool
	var processed atomic.Int32
	w := quickly(h.url, Team{Name: "team"}, Settings{Attempts: 1}, func(_ context.Context, e *event.Event) error {
		switch {
		case away.Load():
			return errAway
		case e.Name == "bad":
			return errors.New("a bad event")
		}
		processed.Add(1)
		return nil
	})
	w.doubt = 10 * time.Second // more than events are apart on a busy machine
	run(t, w)
	stop := h.keepPublishing()
	for range 2 {
		at := processed.Load()
		eventually(t, "it works", func() bool { return processed.Load() > at+100 })
		away.Store(true)
		eventually(t, "it is known for an outage", func() bool { return w.breaker.state().cause != nil }) // one that ends sooner cannot be told from bad events
		away.Store(false)
	}
	good, bad := stop()
	h.settled("team")
	if got := processed.Load(); int(got) != good {
		t.Errorf("%d of %d good events processed", got, good)
	}
	for _, letter := range h.dead("team") {
		if cause := letter.Header.Get(event.HeaderError); cause != "a bad event" {
			t.Errorf("given up: %s, %s", letter.Subject, cause)
		}
	}
	if letters := h.left(stream.Dead); int(letters) != bad {
		t.Errorf("%d dead letters of %d bad events", letters, bad)
	}
}
