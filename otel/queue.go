package otel

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	sdk "go.opentelemetry.io/otel/sdk/trace"

	"github.com/sluicehq/sluice/internal/mask"
	"github.com/sluicehq/sluice/internal/tracing"
)

// queue is between those who end spans, whom it never holds up, and the collector: what it has no room for is dropped.
// While the collector is away it tries the same spans again.
type queue struct {
	spans    chan sdk.ReadOnlySpan
	exporter sdk.SpanExporter
	url      string
	tracing.Process
	log *slog.Logger

	stop, ended chan struct{}
	once        sync.Once
	ctx         context.Context // of what is being sent
	cancel      context.CancelFunc
	away        bool
}

const (
	most       = 8192 // about 1 KiB each
	batchMost  = 512
	batchEvery = time.Second
	pauseFirst = time.Second
	pauseLast  = 30 * time.Second
)

func newQueue(exporter sdk.SpanExporter, url string, p tracing.Process) *queue {
	q := &queue{spans: make(chan sdk.ReadOnlySpan, most), exporter: exporter, url: mask.Address(url), Process: p, log: p.Log, stop: make(chan struct{}), ended: make(chan struct{})}
	q.ctx, q.cancel = context.WithCancel(context.Background())
	go q.run()
	return q
}

// OnStart implements [sdk.SpanProcessor].
func (q *queue) OnStart(context.Context, sdk.ReadWriteSpan) {}

// OnEnd implements [sdk.SpanProcessor].
func (q *queue) OnEnd(s sdk.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	select {
	case q.spans <- s:
	default:
		q.Dropped.Inc()
	}
}

// run sends what comes, a batch at a time, until the end and what is left then.
func (q *queue) run() {
	defer close(q.ended)
	for batch := q.gather(); len(batch) > 0; batch = q.gather() {
		count(q.outcome(q.send(batch)), len(batch))
	}
}

// gather waits for spans, and a little longer for more. It returns none at the end.
func (q *queue) gather() (batch []sdk.ReadOnlySpan) {
	var enough <-chan time.Time
	for len(batch) < batchMost {
		select {
		case s := <-q.spans:
			if batch = append(batch, s); enough == nil {
				enough = time.After(batchEvery)
			}
		case <-enough:
			return batch
		case <-q.stop:
			return append(batch, q.rest(batchMost-len(batch))...)
		}
	}
	return batch
}

func (q *queue) rest(atMost int) (batch []sdk.ReadOnlySpan) {
	for len(batch) < atMost {
		select {
		case s := <-q.spans:
			batch = append(batch, s)
		default:
			return batch
		}
	}
	return batch
}

// send tries until the collector takes a batch, or says that it never will, or the process stops.
func (q *queue) send(batch []sdk.ReadOnlySpan) error {
	for pause := pauseFirst; ; pause = min(2*pause, pauseLast) {
		err := q.exporter.ExportSpans(q.ctx, batch)
		q.say(err)
		if err == nil || errors.Is(err, errRefused) {
			return err
		}
		select {
		case <-time.After(pause):
		case <-q.stop:
			return err
		}
	}
}

// say logs one line when the collector goes away, and one when it is back.
func (q *queue) say(err error) {
	switch {
	case err != nil && !q.away:
		q.log.Warn("the OpenTelemetry collector does not take traces: trying again, and dropping what there is no room for", "collector", q.url, "error", err,
			"remedy", "start it, or correct OTEL_EXPORTER_OTLP_ENDPOINT; events are not affected")
	case err == nil && q.away:
		q.log.Info("the OpenTelemetry collector takes traces again", "collector", q.url)
	}
	q.away = err != nil
}

func (q *queue) outcome(err error) prometheus.Counter {
	if err != nil {
		return q.Lost
	}
	return q.Sent
}

func count(c prometheus.Counter, spans int) { c.Add(float64(spans)) }

// Shutdown implements [sdk.SpanProcessor]: what is queued is sent, once, until ctx ends.
func (q *queue) Shutdown(ctx context.Context) error {
	q.once.Do(func() { close(q.stop) })
	defer context.AfterFunc(ctx, q.cancel)()
	<-q.ended
	return ctx.Err()
}

// ForceFlush implements [sdk.SpanProcessor]. Nobody waits for the collector.
func (q *queue) ForceFlush(context.Context) error { return nil }
