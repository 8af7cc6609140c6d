package worker

import (
	"context"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

// A stop waits for handlers that ignore their context as long as it says and no longer; their events come again, with
// every attempt.
func TestAStopDoesNotWaitForHandlersThatIgnoreIt(t *testing.T) {
	h := newHub(t)
	h.publish("hangs", 5)
	var release sync.WaitGroup
	release.Add(1)
	defer release.Done()
	var begun, processed atomic.Int32
	hangs := func(context.Context, *event.Event) error { begun.Add(1); release.Wait(); return nil }
	for range maxBegun + 2 { // more often than may be without returning
		w := quickly(h.url, Team{Name: "team"}, Settings{Concurrency: 2, Attempts: 1}, hangs)
		w.ackWait, w.grace = time.Second, 100*time.Millisecond
		begun.Store(0)
		stop := run(t, w)
		eventually(t, "the places are taken", func() bool { return begun.Load() == 2 })
		begin := time.Now()
		stop()
		if took := time.Since(begin); took > 15*time.Second { // on a busy machine; of the handlers none ever returns
			t.Errorf("the stop took %s", took)
		}
	}
	w := quickly(h.url, Team{Name: "team"}, Settings{Attempts: 1}, func(_ context.Context, e *event.Event) error {
		if processed.Add(1); e.Attempt != 1 {
			t.Errorf("attempt %d after %v", e.Attempt, e.Failures)
		}
		return nil
	})
	run(t, w)
	h.settled("team")
	if processed.Load() != 5 {
		t.Errorf("%d of 5 events processed", processed.Load())
	}
}

func TestHandlersThatGoOnAfterTheirTimeAreTold(t *testing.T) {
	h := newHub(t)
	h.publish("hangs", 2)
	release := make(chan struct{})
	var begun atomic.Int32
	w := quickly(h.url, Team{Name: "team"}, Settings{Concurrency: 2, Timeout: 10 * time.Millisecond}, func(context.Context, *event.Event) error {
		begun.Add(1)
		<-release
		return nil
	})
	w.ignores = 10 * time.Millisecond
	run(t, w)
	eventually(t, "/readyz says so", func() bool {
		d := dependency(w, "handler")
		return d.Status == telemetry.Degraded && strings.Contains(d.Detail, "2 of 2 handlers still run although their time limit is over") && d.Remedy == stuckRemedy && time.Since(d.Since) < time.Minute
	})
	eventually(t, "the metric says so", func() bool { return gauges(t, w)["sluice_consumer_handlers_stuck"] == 2 })
	close(release)
	h.settled("team")
	eventually(t, "/readyz says that all is well", func() bool { return dependency(w, "handler").Status == telemetry.OK })
}

func TestWhereAHandlerPanics(t *testing.T) {
	for want, panics := range map[string]func(){
		"worker/stuck_test.go:": func() { var e *event.Event; _ = e.Name },
		"worker/stuck_test.go":  func() { _ = strings.Repeat("x", -len(os.Args)) },
	} {
		func() {
			defer func() {
				_ = recover()
				if at := panickedAt(); !strings.HasPrefix(at, want) {
					t.Errorf("panics at %q", at)
				}
			}()
			panics()
		}()
	}
}
