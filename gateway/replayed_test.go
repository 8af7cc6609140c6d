package main

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// Who captured a request can send it again under new ids, because the id is not signed: at most so many become events.
func TestACapturedRequestUnderNewIDsIsBounded(t *testing.T) {
	t.Parallel()
	g := startGateway(t)
	b := body("pbx.call.hangup", 1)
	const attempts, taken = 400, 16
	var sending sync.WaitGroup
	for s := range 8 {
		sending.Go(func() {
			for n := s; n < attempts; n += 8 {
				if got, err := g.try(zorio.Headers(secret, "pbx.call.hangup", fmt.Sprint("replayed-", n), time.Now(), b), b); got != "200 OK" || err != nil {
					t.Errorf("copy %d: %s %v", n, got, err)
				}
			}
		})
	}
	sending.Wait()
	if events, kept := g.count("EVENTS"), g.count("QUARANTINE"); events != taken || kept != 1 {
		t.Errorf("%d copies are stored as events, %d in quarantine", events, kept)
	}
	if m := g.last("QUARANTINE", "quarantine.zorio.replayed"); string(m.Data) != string(b) || !strings.HasPrefix(m.Header.Get(zorio.HeaderDelivery), "replayed-") || len(m.Header.Get(event.HeaderID)) != 64 {
		t.Errorf("%v %s", m.Header, m.Data)
	}
	if n := g.value(`sluice_quarantined_total{reason="replayed"}`); n != attempts-taken {
		t.Errorf("%.0f are counted", n)
	}
	g.WaitFor("SLUICE_MAX_COPIES", 20*time.Second)
	if got := g.send("pbx.call.hangup", "another", body("pbx.call.hangup", 2)); got != "200 OK" || g.count("EVENTS") != taken+1 {
		t.Errorf("another body: %s", got)
	}
}

// What was not stored does not count: the sender comes again, perhaps under a new id, until it is.
func TestWhatIsNotStoredIsNoCopy(t *testing.T) {
	t.Parallel()
	nats := rig.StartNats(t, "")
	g := startGateway(t, "NATS_URL="+nats.URL(), "SLUICE_NATS_MONITOR=http://"+nats.Monitor, "SLUICE_MAX_COPIES=1", "SLUICE_JOURNAL=off")
	b := body("pbx.call.hangup", 1)
	nats.Kill()
	if got := g.send("pbx.call.hangup", "first", b); !strings.HasPrefix(got, "503") {
		t.Fatal(got)
	}
	nats.Restart()
	rig.Eventually(t, time.Minute, "it is stored under another id", func() bool { return g.send("pbx.call.hangup", "second", b) == "200 OK" })
	rig.Eventually(t, 20*time.Second, "it is marked", func() bool { return g.send("pbx.call.hangup", "second", b) == "200 Duplicate" })
	if copies := stored(t, g.js(nats.URL())); copies["second"] != 1 {
		t.Errorf("stored: %v", copies)
	}
}

// What the sender sets is kept with the event, and it is not signed.
func TestTheSendersHeadersAreBounded(t *testing.T) {
	t.Parallel()
	g := startGateway(t)
	for size, want := range map[int]string{3000: "200 OK", 4096: "431 Headers too large", 12000: "431 Headers too large"} {
		b := body("pbx.call.hangup", size)
		h := zorio.Headers(secret, "pbx.call.hangup", fmt.Sprint("big-", size), time.Now(), b)
		h.Set("X-Zorio-Big", strings.Repeat("x", size))
		if got := g.post(h, b); got != want {
			t.Errorf("%d bytes: %s, want %s", size, got, want)
		}
	}
}
