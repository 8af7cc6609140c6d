package ingest

import (
	"log/slog"
	"time"

	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/internal/tracing"
	"github.com/sluicehq/sluice/pkg/event"
)

// trace begins the trace of an authentic delivery. Its span is in the header traceparent of what is stored, so that all
// that follows is a part of the same trace. What is refused makes no trace: a stranger could make any number.
func (p *Path) trace(d *delivery, r *request) {
	s := tracing.Start{Name: "receive", Kind: tracing.Server, At: d.received}
	if sent := string(r.traceparent); p.TrustTrace {
		s.Parent = sent
	} else {
		s.Link = sent // nobody has signed it
	}
	d.span = p.tracer.Start(s)
}

// traceAnswer ends it.
func (p *Path) traceAnswer(d *delivery, given *answer) {
	var failed error
	if given.Status >= 500 {
		failed = answerError(given.Text)
	}
	if !d.span.Sampled() {
		d.span.End(time.Now(), failed)
		return
	}
	d.span.End(time.Now(), failed,
		slog.String("sluice.source", p.source.Name), slog.String("sluice.event", d.name), slog.String("sluice.delivery", event.DeliveryOf(d.identity)),
		slog.String("sluice.answer", given.label), slog.Int("http.response.status_code", given.Status))
}

type answerError string

func (e answerError) Error() string { return string(e) }

// tracePublish records that a delivery was sent to NATS, and what NATS said.
func (p *Path) tracePublish(d *delivery, ack stream.Ack, err error) {
	if d.span.Sampled() {
		tracing.Record(p.tracer, tracing.Start{Name: "publish", Kind: tracing.Producer, Parent: d.span.Traceparent(), At: d.published}, time.Now(), err,
			slog.String("messaging.system", "nats"), slog.String("messaging.destination.name", ack.Stream), slog.Uint64("sluice.sequence", ack.Sequence), slog.Bool("sluice.duplicate", ack.Duplicate))
	}
}

// traceJournal records that a group was synced in the journal.
func (p *Path) traceJournal(group []*delivery, begin time.Time, err error) {
	end := time.Now()
	for _, d := range group {
		if d.span.Sampled() {
			tracing.Record(p.tracer, tracing.Start{Name: "journal", Parent: d.span.Traceparent(), At: begin}, end, err, slog.Int("sluice.group", len(group)))
		}
	}
}
