package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/valyala/fasthttp"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/zorio"
)

const atOnce = 64

// BenchmarkForward is how fast a backlog reaches one receiver on this machine, as a part of the rate of a load that does
// nothing else, with as many requests at once. The two take turns, five rounds of b.N requests each.
//
//	go test -run '^$' -bench Forward -benchtime 10000x ./consumer/forward
func BenchmarkForward(b *testing.B) {
	if b.N == 1 { // a first try of the testing package's
		return
	}
	var count atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "OK")
		count.Add(1)
	}))
	defer server.Close()
	n, targets := rig.StartQuickNats(b, ""), filepath.Join(b.TempDir(), "targets.yaml")
	if err := os.WriteFile(targets, fmt.Appendf(nil, "targets:\n  - {name: crm, url: %q, secret: 0123456789abcdefghij}\n", server.URL), 0o600); err != nil {
		b.Fatal(err)
	}
	js, program := n.Declared(), rig.Build(b, "./consumer/forward")
	var ratios, direct, forwarded []float64
	for round := range 5 {
		store(b, js, round)
		direct = append(direct, rateOf(b, &count, func() func() { load(b, server.URL); return func() {} }))
		forwarded = append(forwarded, rateOf(b, &count, func() func() {
			p := rig.Start(b, program, nil, rig.Environment("NATS_URL="+n.URL(), "SLUICE_TARGETS="+targets, fmt.Sprint("SLUICE_CONCURRENCY=", atOnce), "SLUICE_ADMIN="+rig.Address(b)))
			return func() { p.Signal(syscall.SIGTERM); p.Wait(20 * time.Second) }
		}))
		ratios = append(ratios, forwarded[round]/direct[round])
	}
	for _, all := range [][]float64{ratios, direct, forwarded} {
		slices.Sort(all)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(direct[2], "direct/s")
	b.ReportMetric(forwarded[2], "forward/s")
	b.ReportMetric(ratios[2], "ratio")
	b.ReportMetric(ratios[0], "least")
	b.ReportMetric(ratios[4], "most")
}

// rateOf is requests a second, from the first one that comes on.
func rateOf(b *testing.B, count *atomic.Int64, begin func() (end func())) float64 {
	b.Helper()
	count.Store(0)
	var began, ended time.Time
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for ended.IsZero() {
			switch n := count.Load(); {
			case n >= int64(b.N):
				ended = time.Now()
			case n > 0 && began.IsZero():
				began = time.Now()
			}
			time.Sleep(200 * time.Microsecond)
		}
	}()
	end := begin()
	select {
	case <-watched:
	case <-time.After(2 * time.Minute):
		b.Fatalf("%d of %d requests came", count.Load(), b.N)
	}
	end()
	return float64(b.N) / ended.Sub(began).Seconds()
}

var speedBody = bytes.Repeat([]byte(`{"x":1}`), 70)

func load(b *testing.B, url string) {
	b.Helper()
	client := &fasthttp.Client{MaxConnsPerHost: atOnce}
	var sending sync.WaitGroup
	var left atomic.Int64
	left.Store(int64(b.N))
	for range atOnce {
		sending.Go(func() {
			for left.Add(-1) >= 0 {
				request, response := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
				request.SetRequestURI(url)
				request.Header.SetMethod(http.MethodPost)
				request.SetBodyRaw(speedBody)
				if err := client.Do(request, response); err != nil {
					b.Error(err)
				}
				fasthttp.ReleaseRequest(request)
				fasthttp.ReleaseResponse(response)
			}
		})
	}
	sending.Wait()
	client.CloseIdleConnections()
}

func store(b *testing.B, js jetstream.JetStream, round int) {
	b.Helper()
	for i := range b.N {
		msg := nats.NewMsg(event.Subject(zorio.Source, "pbx.call.hangup"))
		msg.Header.Set(event.HeaderID, fmt.Sprintf("id-%d-%d/0123456789abcdef", round, i))
		msg.Data = speedBody
		if _, err := js.PublishMsgAsync(msg, jetstream.WithStallWait(time.Minute)); err != nil {
			b.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
}
