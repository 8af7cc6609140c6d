package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/history"
	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/telemetry"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// hub is a NATS with the streams, and a file of targets.
type hub struct {
	t    *testing.T
	nats *rig.Nats
	js   jetstream.JetStream
	file string
}

func newHub(t *testing.T) *hub {
	t.Helper()
	h := &hub{t: t, nats: rig.StartNats(t, ""), file: filepath.Join(t.TempDir(), "targets.yaml")}
	h.js = h.nats.Declared()
	return h
}

func (h *hub) publish(delivery string) {
	h.t.Helper()
	msg := nats.NewMsg(event.Subject(zorio.Source, "pbx.call.hangup"))
	msg.Header.Set(event.HeaderID, event.Identity(delivery, "0123456789abcdef"))
	msg.Data = []byte(`{"event":"pbx.call.hangup"}`)
	if _, err := h.js.PublishMsg(h.t.Context(), msg); err != nil {
		h.t.Fatal(err)
	}
}

// write makes the file list these targets: names and URLs.
func (h *hub) write(targets map[string]string) {
	h.t.Helper()
	text := "targets:\n"
	for name, url := range targets {
		text += fmt.Sprintf("  - {name: %s, url: %q, secret: %s}\n", name, url, targetSecret)
	}
	if err := os.WriteFile(h.file, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

func (h *hub) start(more ...string) *rig.Process {
	h.t.Helper()
	return rig.Start(h.t, rig.Build(h.t, "./consumer/forward"), nil, rig.Environment(append(more, "NATS_URL="+h.nats.URL(), "SLUICE_TARGETS="+h.file)...))
}

// says waits until /readyz has a dependency like this.
func says(t *testing.T, admin, name string, is func(telemetry.Dependency) bool) {
	t.Helper()
	rig.Eventually(t, time.Minute, "/readyz says how "+name+" is", func() bool {
		for _, d := range readiness(t, admin).Dependencies {
			if d.Name == name && time.Since(d.Since) < time.Minute && is(d) {
				return true
			}
		}
		return false
	})
}

// counter is a receiver that notes the deliveries it was given.
type counter struct {
	*httptest.Server
	mu         sync.Mutex
	deliveries []string
}

func newCounter(t *testing.T, answer http.HandlerFunc) *counter {
	t.Helper()
	c := &counter{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		c.deliveries = append(c.deliveries, r.Header.Get(zorio.HeaderDelivery))
		c.mu.Unlock()
		if answer != nil {
			answer(w, r)
		}
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *counter) has(t *testing.T, deliveries ...string) {
	t.Helper()
	rig.Eventually(t, time.Minute, fmt.Sprintf("it was given %v", deliveries), func() bool { return slices.Equal(c.given(), deliveries) })
}

func (c *counter) given() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.deliveries)
}

func TestTargetsAreReloadedOnSIGHUP(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	same, moves, moved, leaves := newCounter(t, nil), newCounter(t, nil), newCounter(t, nil), newCounter(t, nil)
	h.write(map[string]string{"same": same.URL, "moves": moves.URL, "leaves": leaves.URL})
	admin := rig.Address(t)
	forward := h.start("SLUICE_ADMIN=" + admin)
	h.publish("1")
	for _, c := range []*counter{same, moves, leaves} {
		c.has(t, "1")
	}

	h.write(map[string]string{"same": "ftp://nowhere"})
	forward.Signal(syscall.SIGHUP)
	forward.WaitFor("keeping the previous targets", time.Minute)
	if !strings.Contains(forward.Output(), `:2: target \"same\": url ftp://nowhere: use http:// or https://`) {
		t.Errorf("the log does not say what is wrong:\n%s", forward.Output())
	}
	says(t, admin, "targets", func(d telemetry.Dependency) bool {
		return d.Status == telemetry.Degraded && strings.Contains(d.Detail, "ftp://nowhere") && d.Remedy == fileRemedy
	})
	h.publish("2")
	for _, c := range []*counter{same, moves, leaves} {
		c.has(t, "1", "2")
	}

	h.write(map[string]string{"same": same.URL, "moves": moved.URL})
	forward.Signal(syscall.SIGHUP)
	forward.WaitFor("reloaded the targets", time.Minute)
	forward.WaitFor("a target was removed", time.Minute)
	forward.WaitFor("sluicectl teams remove forward-leaves", time.Minute)
	says(t, admin, "targets", func(d telemetry.Dependency) bool { return d.Status == telemetry.OK })
	h.publish("3")
	same.has(t, "1", "2", "3")
	moved.has(t, "3")
	moves.has(t, "1", "2")
	if n := strings.Count(forward.Output(), `"posting to a target","target":"same"`); n != 1 {
		t.Errorf("the target that stayed began %d times", n)
	}

	h.write(map[string]string{"same": same.URL, "leaves": leaves.URL})
	forward.Signal(syscall.SIGHUP)
	leaves.has(t, "1", "2", "3") // it goes on where it was
	if code := forward.Stop(30 * time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if strings.Contains(forward.Output(), targetSecret) {
		t.Error("a secret is in the log")
	}
}

func TestRetryAfterIsObeyed(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	var mu sync.Mutex
	var times []time.Time
	busy := newCounter(t, func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		times = append(times, time.Now())
		w.Header().Set("Retry-After", "2")
		w.WriteHeader([]int{http.StatusServiceUnavailable, http.StatusTooManyRequests, http.StatusOK}[len(times)-1])
	})
	h.write(map[string]string{"busy": busy.URL})
	h.start()
	h.publish("1")
	busy.has(t, "1", "1", "1")
	mu.Lock()
	defer mu.Unlock()
	for i := range 2 {
		if waited := times[i+1].Sub(times[i]); waited < 2*time.Second {
			t.Errorf("tried again after %s", waited)
		}
	}
}

// A name in NATS that somebody else took is one target's trouble; when no target can work, the process says why.
func TestATargetThatCannotWorkIsPausedAndTheOthersGoOn(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	if _, err := h.js.CreateConsumer(t.Context(), stream.Events, jetstream.ConsumerConfig{Durable: "forward-taken", AckPolicy: jetstream.AckNonePolicy}); err != nil {
		t.Fatal(err)
	}
	good := newCounter(t, nil)
	h.write(map[string]string{"good": good.URL, "taken": good.URL})
	forward := h.start()
	forward.WaitFor("a target is paused", time.Minute)
	h.publish("1")
	good.has(t, "1")
	h.write(map[string]string{"taken": good.URL})
	forward.Signal(syscall.SIGHUP)
	if code := forward.Wait(time.Minute); code != 1 || !strings.Contains(forward.Output(), "forward: the consumer forward-taken") {
		t.Errorf("exit code %d", code)
	}
}

// A receiver that asks to be left alone gets no more than what was on its way, and /readyz names it.
func TestAReceiverThatAsksToBeLeftAloneIs(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	busy := newCounter(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	h.write(map[string]string{"busy": busy.URL})
	for n := range 200 {
		h.publish(fmt.Sprint(n))
	}
	admin := rig.Address(t)
	h.start("SLUICE_ADMIN="+admin, "SLUICE_CONCURRENCY=4").Listening(admin)
	says(t, admin, "forward-busy handler", func(d telemetry.Dependency) bool {
		return d.Status == telemetry.Degraded && strings.Contains(d.Detail, "the handler reports that what it depends on is unavailable: it answered 503") &&
			strings.Contains(d.Remedy, "repair the receiver at "+busy.URL)
	})
	time.Sleep(300 * time.Millisecond) // in which all the others would go too
	if n := len(busy.given()); n > 4 {
		t.Errorf("it got %d requests over 4 connections", n)
	}
}

// One attempt is all that an event has, while the file changes and the process stops and starts.
func TestReloadsAndRestartsUseUpNoAttempts(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	slow := newCounter(t, func(http.ResponseWriter, *http.Request) { time.Sleep(30 * time.Millisecond) })
	write := func(n int) {
		h.t.Helper()
		text := fmt.Sprintf("targets: [{name: slow, url: %q, secret: %s, attempts: 1, concurrency: %d}]", slow.URL, targetSecret, n)
		if err := os.WriteFile(h.file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(1)
	const count = 300
	published := make(chan struct{})
	go func() {
		defer close(published)
		for n := range count {
			h.publish(fmt.Sprint(n))
			time.Sleep(20 * time.Millisecond)
		}
	}()
	forward := h.start()
	for n := range 3 {
		at := len(slow.given())
		rig.Eventually(t, time.Minute, "it posts", func() bool { return len(slow.given()) > at+10 })
		write(2 + n%2)
		forward.Signal(syscall.SIGHUP)
		at = len(slow.given())
		rig.Eventually(t, time.Minute, "it posts", func() bool { return len(slow.given()) > at+10 })
		if code := forward.Stop(30 * time.Second); code != 0 {
			t.Errorf("exit code %d", code)
		}
		forward = h.start()
	}
	forward.WaitFor(`"working"`, time.Minute)
	write(16)
	forward.Signal(syscall.SIGHUP)
	<-published
	rig.Eventually(t, time.Minute, "every event was posted", func() bool {
		given := slices.Sorted(slices.Values(slow.given()))
		return len(slices.Compact(given)) == count
	})
	dead, err := h.js.Stream(t.Context(), stream.Dead)
	if err != nil || dead.CachedInfo().State.Msgs != 0 {
		t.Errorf("%d events were dead-lettered, %v", dead.CachedInfo().State.Msgs, err)
	}
}

// The contract's answer to what the receiver had before is kept in the event's history, so that a replay to it tells what
// it came to.
func TestADuplicateIsToldOf(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	again := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("Duplicate\n")) }))
	t.Cleanup(again.Close)
	h.publish("d-1")
	h.write(map[string]string{"crm": again.URL})
	h.start()
	rig.Eventually(t, time.Minute, "the history says Duplicate", func() bool {
		told, err := history.Of(t.Context(), h.js, 1)
		return err == nil && len(told) == 1 && told[0].Outcome == history.Processed && told[0].Note == "Duplicate"
	})
}
