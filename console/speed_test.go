package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

var storeFor = flag.Duration("store", 5*time.Second, "how long events are stored before pages are measured")

// fast is within which every page answers, whatever is stored.
const fast = 200 * time.Millisecond

// Each page answers at once with as many events as could be stored in a while and 20 teams, all of them behind; and
// NATS is asked as often with many browsers as with one.
func TestEveryPageIsFastOnAFullStream(t *testing.T) {
	needsReal(t)
	g := newStage(t, Settings{Log: asUsual})
	stored := g.flood(*storeFor)
	for n := range 20 {
		g.team(fmt.Sprintf("team-%02d", n), []string{"pbx.>", "telesales.>", ">"}[n%3])
	}
	g.team("pbx", "pbx.>")
	g.letters(5000)
	t.Logf("%d events stored, 21 teams, 5,000 dead letters", stored)
	if err := g.s.watch.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	pages, _ := g.everywhere()
	pages = append(pages, narrowed(stored)...)
	v := g.visitor()
	for _, path := range pages {
		var took []time.Duration
		for range 20 {
			begin := time.Now()
			if status, _, body := v.ask(http.MethodGet, path, nil); status >= 500 {
				t.Errorf("%s: %d\n%s", path, status, body)
			}
			took = append(took, time.Since(begin))
		}
		slices.Sort(took)
		t.Logf("%-24s median %8s  slowest %8s", path, took[10].Round(100*time.Microsecond), took[19].Round(100*time.Microsecond))
		if took[0] > fast { // a machine may be busy with something else, and is not all of the time
			t.Errorf("%s takes %s at least", path, took[0])
		}
	}
	if *storeFor >= measured {
		for n := range 100 {
			g.refused("invalid", "401 Invalid signature", fmt.Sprint("forged-", n), nil)
		}
		g.load()
	}
}

// measured is a run of which the figures are kept, and that may take its time.
const measured = 20 * time.Second

// load tells how often NATS is asked.
func (g *stage) load() {
	for _, c := range []struct {
		browsers int
		page     string
	}{{0, "/"}, {1, "/"}, {10, "/"}, {10, "/requests"}, {10, "/events/1"}} {
		ctx, cancel := context.WithCancel(g.t.Context())
		for range c.browsers {
			follow(ctx, g.t, g.url+c.page)
		}
		time.Sleep(2 * time.Second)
		before, begin := g.js.Conn().Stats(), time.Now()
		time.Sleep(4 * time.Second)
		after, seconds := g.js.Conn().Stats(), time.Since(begin).Seconds()
		g.t.Logf("%2d browsers on %s: %.1f requests/s, %.0f bytes/s in", c.browsers, c.page,
			float64(after.OutMsgs-before.OutMsgs)/seconds, float64(after.InBytes-before.InBytes)/seconds)
		cancel()
		time.Sleep(time.Second)
	}
}

// flood stores events for a while, as fast as NATS takes them, and returns how many.
func (g *stage) flood(lasts time.Duration) (stored uint64) {
	g.t.Helper()
	body := []byte(`{"event":"pbx.call.hangup","timestamp":"2026-11-23T03:30:00Z","data":{"call_uuid":"5c3be9d2-0a63-4d3c-8d3c-0f4f0c6f4f55"}}`)
	names := []string{"pbx.call.hangup", "pbx.call.ringing", "telesales.lead.created", "autocall.dtmf.pressed"}
	end := time.Now().Add(lasts)
	for n := 0; time.Now().Before(end); n++ {
		id := fmt.Sprintf("flood-%d", n)
		m := &nats.Msg{Subject: event.Subject("zorio", names[n%len(names)]), Header: headers(id, names[n%len(names)], body), Data: body}
		if err := g.js.Conn().PublishMsg(m); err != nil {
			g.t.Fatal(err)
		}
		if n%1000 == 0 {
			if _, err := g.js.Stream(g.t.Context(), stream.Events); err != nil { // waits until it has caught up
				g.t.Fatal(err)
			}
		}
	}
	info, err := g.js.Stream(g.t.Context(), stream.Events)
	if err != nil {
		g.t.Fatal(err)
	}
	return info.CachedInfo().State.Msgs
}

// headers are those of a delivery as the gateway stores it, without a duplicate's mark.
func headers(id, name string, body []byte) nats.Header {
	h := nats.Header{}
	h.Set("X-Zorio-Delivery", id)
	h.Set("X-Zorio-Event", name)
	h.Set(event.HeaderSource, "zorio")
	h.Set(event.HeaderReceived, time.Now().UTC().Format(time.RFC3339Nano))
	return h
}

// letters are dead letters of pbx.
func (g *stage) letters(n int) {
	g.t.Helper()
	for i := range n {
		m := &nats.Msg{Subject: "dead.pbx.zorio.pbx.call.hangup", Header: headers(fmt.Sprintf("dead-%d", i), "pbx.call.hangup", nil), Data: []byte(`{}`)}
		m.Header.Set(event.HeaderError, fmt.Sprintf("no extension %d", i))
		m.Header.Set(event.HeaderReason, "permanent")
		if err := g.js.Conn().PublishMsg(m); err != nil {
			g.t.Fatal(err)
		}
	}
	if _, err := g.js.Stream(g.t.Context(), stream.Dead); err != nil {
		g.t.Fatal(err)
	}
}
