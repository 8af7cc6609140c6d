package main

import (
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

var full = flag.Int("full", 0, "how many events are stored for BenchmarkPages; the product's own measure is 10000000")

// BenchmarkPages is how long pages about requests take on a stream that is full, with 20 teams:
//
//	go test ./console -run xxx -bench Pages -benchtime 20x -full 10000000
func BenchmarkPages(b *testing.B) {
	if *full == 0 {
		b.Skip("-full says how many events")
	}
	js := rig.Hub(b, stream.Settings{})
	g := stageOn(b, Settings{}, js)
	g.fill(*full)
	for i := range 20 {
		g.team(fmt.Sprint("team-", i), []string{"pbx.>", "telesales.>", ">"}[i%3])
	}
	middle, end := *full/2, *full
	for name, path := range map[string]string{
		"requests": "/requests", "middle": fmt.Sprintf("/requests?before=%d.1", middle), "event": "/requests?event=pbx.call.hangup", "rare event": "/requests?event=fax.rare",
		"refused": "/requests?answer=refused", "hour": "/requests?last=1h", "delivery": "/requests?delivery=nobody", "one": fmt.Sprint("/events/", middle), "last": fmt.Sprint("/events/", end), "one refused": "/refused/2000", "search": "/search?q=nowhere",
	} {
		b.Run(name, func(b *testing.B) {
			var all []time.Duration
			for range b.N {
				begin := time.Now()
				if status, html := g.page(path); status != 200 {
					b.Fatal(status, html)
				}
				all = append(all, time.Since(begin))
			}
			slices.Sort(all)
			b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "ms/median")
			b.ReportMetric(float64(all[len(all)-1].Microseconds())/1000, "ms/worst")
		})
	}
}

// fill stores events as fast as NATS takes them, every thousandth of a rare kind, and 2,000 requests that became none.
func (g *stage) fill(events int) {
	g.t.Helper()
	nc := g.js.Conn()
	kinds := []string{"pbx.call.ringing", "pbx.call.answered", "pbx.call.hangup", "pbx.cdr.created", "telesales.lead.created", "autocall.dtmf.pressed"}
	body := []byte(`{"event":"pbx.call.hangup","data":{"call_uuid":"0d5c1f0e-5a1f-4a57-9a0e-3d1c6b6a2f11","duration":61,"from":"+3726000000","to":"+3726000001","direction":"outbound","recording":"https://example.com/r/1"}}`)
	for n := range events {
		name := kinds[n%len(kinds)]
		if n%100_000 == 50_000 {
			name = "fax.rare"
		}
		h := nats.Header{event.HeaderReceived: {time.Now().UTC().Format(time.RFC3339Nano)}, "X-Zorio-Delivery": {fmt.Sprint("delivery-", n)}}
		if err := nc.PublishMsg(&nats.Msg{Subject: event.Subject("zorio", name), Header: h, Data: body}); err != nil {
			g.t.Fatal(err)
		}
		if n%5000 == 4999 { // or NATS takes its reader for a slow one
			if _, err := g.js.PublishMsg(g.t.Context(), &nats.Msg{Subject: event.Subject("zorio", name), Header: h, Data: body}); err != nil {
				g.t.Fatal(err)
			}
		}
	}
	for n := range 2000 {
		g.refused([]string{"invalid", "stale", "duplicate", "not_found"}[n%4], "401 Invalid signature", fmt.Sprint("refused-", n), body)
	}
}
