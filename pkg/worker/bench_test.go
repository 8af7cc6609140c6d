package worker

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

// BenchmarkBacklog is how fast a worker with an empty handler drains a backlog, as a part of the rate of a loop that
// fetches and acknowledges and does nothing else. The two take turns, five rounds of b.N events each; the ratio is the
// median's, the spread that of the rounds.
//
//	go test -run '^$' -bench Backlog -benchtime 20000x ./pkg/worker
func BenchmarkBacklog(b *testing.B) {
	if b.N == 1 { // a first try of the testing package's
		return
	}
	h := newHub(b)
	h.publishCalls(b.N)
	var ratios, bare, worked []float64
	for round := range 5 {
		bare = append(bare, h.bareLoop(b, fmt.Sprint("bare-", round)))
		worked = append(worked, h.emptyHandler(b, fmt.Sprint("team-", round)))
		ratios = append(ratios, worked[round]/bare[round])
	}
	for _, all := range [][]float64{ratios, bare, worked} {
		slices.Sort(all)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(bare[2], "bare/s")
	b.ReportMetric(worked[2], "worker/s")
	b.ReportMetric(ratios[2], "ratio")
	b.ReportMetric(ratios[0], "least")
	b.ReportMetric(ratios[4], "most")
}

// publishCalls stores events with the headers and the size that the gateway's have.
func (h *hub) publishCalls(count int) {
	h.t.Helper()
	body := make([]byte, 512)
	for i := range count {
		msg := nats.NewMsg(event.Subject("zorio", "pbx.call.hangup"))
		for key, value := range map[string]string{
			event.HeaderID: fmt.Sprintf("0d5c1f0e-5a1f-4a57-9a0e-%012d/0123456789abcdef", i), event.HeaderSource: "zorio",
			event.HeaderReceived: time.Now().UTC().Format(time.RFC3339Nano), "X-Zorio-Event": "pbx.call.hangup", "X-Zorio-Timestamp": "1763000000",
			"X-Zorio-Delivery": fmt.Sprintf("0d5c1f0e-5a1f-4a57-9a0e-%012d", i), "X-Zorio-Signature": "sha256=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
		} {
			msg.Header[key] = []string{value}
		}
		msg.Data = body
		if _, err := h.js.PublishMsgAsync(msg, jetstream.WithStallWait(10*time.Second)); err != nil {
			h.t.Fatal(err)
		}
	}
	<-h.js.PublishAsyncComplete()
}

// bareLoop returns events a second.
func (h *hub) bareLoop(b *testing.B, name string) float64 {
	b.Helper()
	durable, err := h.js.CreateConsumer(b.Context(), stream.Events, jetstream.ConsumerConfig{Durable: name, AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 20_000})
	if err != nil {
		b.Fatal(err)
	}
	begin := time.Now()
	for count := 0; count < b.N; {
		batch, err := durable.Fetch(256, jetstream.FetchMaxWait(time.Second))
		if err != nil {
			b.Fatal(err)
		}
		for msg := range batch.Messages() {
			_ = msg.Ack()
			count++
		}
	}
	if err := h.js.Conn().Flush(); err != nil {
		b.Fatal(err)
	}
	return float64(b.N) / time.Since(begin).Seconds()
}

// emptyHandler returns events a second, from the first one on.
func (h *hub) emptyHandler(b *testing.B, name string) float64 {
	b.Helper()
	var handled atomic.Int64
	var begin time.Time
	all := make(chan struct{})
	stop := h.start(Team{Name: name}, Settings{Concurrency: 16}, func(context.Context, *event.Event) error {
		n := handled.Add(1)
		if n == 1 {
			begin = time.Now()
		}
		if n == int64(b.N) {
			close(all)
		}
		return nil
	})
	<-all
	rate := float64(b.N) / time.Since(begin).Seconds()
	stop()
	return rate
}
