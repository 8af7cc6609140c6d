package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// steady is a sender that begins so many deliveries a second, whatever becomes of those before.
type steady struct {
	g      *gateway
	next   *gateway      // the one that took its place; nil where none did
	again  time.Duration // after which a delivery that failed is tried again, until it is taken; 0: never
	text   string        // in every body
	stop   chan struct{}
	active sync.WaitGroup

	mu       sync.Mutex
	attempts []attempt
}

// attempt is one try of a delivery.
type attempt struct {
	id     string
	begin  time.Time
	took   time.Duration
	answer string // "200 OK"; what went wrong where none came
}

func (a attempt) failed() bool { return !strings.HasPrefix(a.answer, "200 ") }

func (g *gateway) steady(rate int, size int, again time.Duration) *steady {
	s := &steady{g: g, again: again, text: strings.Repeat("x", size), stop: make(chan struct{})}
	s.active.Go(func() {
		tick := time.NewTicker(time.Second / time.Duration(rate))
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-tick.C:
				s.active.Go(func() { s.deliver(fmt.Sprint(n)) })
			case <-s.stop:
				return
			}
		}
	})
	return s
}

// deliver tries until a delivery is taken or the load ends.
func (s *steady) deliver(id string) {
	for s.try(id).failed() && s.again > 0 {
		select {
		case <-time.After(s.again):
		case <-s.stop:
			return
		}
	}
}

func (s *steady) try(id string) attempt {
	b := fmt.Appendf(nil, `{"event":"pbx.call.hangup","data":{"call_uuid":%q,"text":%q}}`, id, s.text)
	a := attempt{id: id, begin: time.Now()}
	request, _ := http.NewRequest(http.MethodPost, s.g.url(), bytes.NewReader(b))
	request.Header = zorio.Headers(secret, "pbx.call.hangup", id, time.Now(), b)
	if answer, err := s.g.client.Do(request); err != nil {
		a.answer = err.Error()
	} else {
		text, _ := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		a.answer = fmt.Sprint(answer.StatusCode, " ", string(text))
	}
	a.took = time.Since(a.begin)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attempts = append(s.attempts, a)
	return a
}

func (s *steady) failures(since time.Time) (failed []attempt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.attempts {
		if a.failed() && a.begin.After(since) {
			failed = append(failed, a)
		}
	}
	return failed
}

// end ends the load and checks that everybody was answered within the budget, to which a busy machine adds. What
// began in the last moments may have found no connection, where the gateway is stopping.
func (s *steady) end(t *testing.T, moments time.Duration) {
	t.Helper()
	stopping := time.Now().Add(-moments)
	close(s.stop)
	s.active.Wait()
	for _, a := range s.attempts {
		if a.took > 8*time.Second || a.failed() && !strings.HasPrefix(a.answer, "503 ") && a.begin.Before(stopping) {
			t.Errorf("delivery %s: %s after %s", a.id, a.answer, a.took)
		}
	}
	t.Logf("%d attempts, %d failed", len(s.attempts), len(s.failures(time.Time{})))
}

// lasts waits, because time is what is tested, while the load goes on.
func lasts(d time.Duration) { time.Sleep(d) }

// A NATS that hangs takes what is sent until its socket is full: everybody is answered in time all the same, and a stop
// meanwhile is a stop.
func TestAHangingNATSKeepsNobodyWaiting(t *testing.T) {
	t.Parallel()
	g, _, nats := startWithEngines(t, "SLUICE_JOURNAL=off")
	s := g.steady(200, 16<<10, 0)
	lasts(time.Second)
	nats.Signal(syscall.SIGSTOP)
	rig.Eventually(t, 30*time.Second, "deliveries are refused, because NATS hangs", func() bool { return len(s.failures(time.Time{})) > 100 })
	begin := time.Now()
	g.Signal(syscall.SIGTERM)
	s.end(t, time.Second)
	g.Wait(20 * time.Second)
	t.Logf("stopped within %s", time.Since(begin))
}

// With two healthy servers beside the one that hangs, the gateway goes to one of them before anybody is refused.
func TestAHangingServerOfAClusterIsLeft(t *testing.T) {
	t.Parallel()
	c := rig.StartNatsCluster(t, 3)
	g := startGateway(t, "NATS_URL="+c.URL(), "SLUICE_REPLICAS=3", "SLUICE_NATS_MONITOR="+c.Monitors())
	g.WaitFor("listening", 60*time.Second)
	hung := c[c.Serving("sluice gateway")]
	leadElsewhere(t, c, hung)
	s := g.steady(100, 100, 0)
	lasts(time.Second)
	hung.Signal(syscall.SIGSTOP)
	begin := time.Now()
	rig.Eventually(t, 30*time.Second, "the gateway is back", func() bool { return strings.Contains(g.Output(), "NATS is back") })
	left := time.Since(begin)
	lasts(2 * time.Second)
	s.end(t, 0)
	if left > 6*time.Second { // two, and a busy machine; by itself the client would take minutes
		t.Errorf("the server that hangs is left after %s", left)
	}
	if failed := s.failures(time.Time{}); len(failed) > 20 {
		t.Errorf("%d deliveries failed, the first %+v", len(failed), failed[0])
	}
}

// leadElsewhere makes another server than this one lead EVENTS.
func leadElsewhere(t *testing.T, c rig.NatsCluster, than *rig.Nats) {
	t.Helper()
	js := rig.JetStream(t, c.URL())
	rig.Eventually(t, 60*time.Second, "another server leads EVENTS", func() bool {
		if c.Leader(js, stream.Events) != than {
			return true
		}
		_, _ = js.Conn().Request("$JS.API.STREAM.LEADER.STEPDOWN."+stream.Events, nil, time.Second)
		return false
	})
}

// What a NATS that hung stores when it goes on, long after its senders were told to come back, is found before the
// duplicate window passes: the sender's next attempt is a duplicate.
func TestWhatIsStoredInDoubtIsStoredOnce(t *testing.T) {
	for _, memory := range []string{"Redis", "memory"} {
		t.Run(memory, func(t *testing.T) {
			t.Parallel()
			g, nats := startRemembering(t, memory, "SLUICE_JOURNAL=off")
			const window = 10 * time.Second // longer than NATS hangs
			shorten(t, g.js(nats.URL()), window)
			s := g.steady(100, 100, 0)
			lasts(500 * time.Millisecond)
			nats.Signal(syscall.SIGSTOP)
			rig.Eventually(t, 20*time.Second, "deliveries are refused", func() bool { return len(s.failures(time.Time{})) > 100 })
			nats.Signal(syscall.SIGCONT)
			s.end(t, 0)
			lasts(window + 2*time.Second)
			duplicates := 0
			for _, a := range s.failures(time.Time{}) {
				again := s.try(a.id)
				if again.failed() {
					t.Errorf("delivery %s again: %s", a.id, again.answer)
				}
				if again.answer == "200 Duplicate" {
					duplicates++
				}
			}
			copies := stored(t, g.js(nats.URL()))
			for _, a := range s.attempts {
				if copies[a.id] != 1 {
					t.Errorf("delivery %s, once answered %s, is stored %d times", a.id, a.answer, copies[a.id])
				}
			}
			if duplicates == 0 {
				t.Error("nothing was in doubt: this shows nothing")
			}
		})
	}
}

// shorten makes the stream forget identities soon.
func shorten(t *testing.T, js jetstream.JetStream, window time.Duration) {
	t.Helper()
	events, err := js.Stream(t.Context(), stream.Events)
	if err != nil {
		t.Fatal(err)
	}
	config := events.CachedInfo().Config
	config.Duplicates = window
	if _, err := js.UpdateStream(context.WithoutCancel(t.Context()), config); err != nil {
		t.Fatal(err)
	}
}

// After an outage that a sender fills with attempts, what is new is taken soon and nobody is answered late.
func TestNewDeliveriesAreTakenSoonAfterAnOutage(t *testing.T) {
	t.Parallel()
	g, _, nats := startWithEngines(t, "SLUICE_JOURNAL=off")
	s := g.steady(300, 100, time.Second)
	lasts(time.Second)
	nats.Kill()
	lasts(6 * time.Second)
	nats.Restart()
	back := time.Now()
	lasts(6 * time.Second)
	s.end(t, 0)
	if failed := s.failures(back.Add(3 * time.Second)); len(failed) > 0 {
		t.Errorf("3 s after NATS is back %d attempts fail, the first %+v", len(failed), failed[0])
	}
	if resent := g.value("sluice_publish_resent_total"); resent > float64(len(s.attempts)) {
		t.Errorf("%v copies were sent again, in %d attempts", resent, len(s.attempts))
	}
}
