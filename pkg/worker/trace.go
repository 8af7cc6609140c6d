package worker

import (
	"context"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/internal/tracing"
	"github.com/sluicehq/sluice/pkg/event"
)

// traceAttempt begins the span of an attempt, a part of the trace that began with the event's request. What is replayed
// begins a trace of its own, with a link to that one: the attempts of the first time are over.
func (w *worker) traceAttempt(ctx context.Context, h *inFlight) context.Context {
	s := tracing.Start{Name: "attempt", Kind: tracing.Consumer, At: time.Now()}
	if trace := nats.Header(h.event.Header).Get(event.HeaderTraceparent); h.from.stream == stream.Replay {
		s.Link = trace
	} else {
		s.Parent = trace
	}
	h.span = w.tracer.Start(s)
	return tracing.With(ctx, h.span)
}

// traceOutcome ends the span of an attempt, when it is known what becomes of the event.
func (w *worker) traceOutcome(h *inFlight, o outcome, err error) {
	defer func() { h.span = nil }()
	if !h.span.Sampled() {
		h.span.End(h.ended, nil)
		return
	}
	if o.class == skipped {
		err = nil
	}
	about := []slog.Attr{
		slog.String("sluice.team", w.team.Name), slog.Int("sluice.attempt", h.event.Attempt), slog.String("sluice.outcome", string(o.kind)),
		slog.String("sluice.source", h.event.Source), slog.String("sluice.event", h.event.Name), slog.String("sluice.delivery", h.event.Delivery),
		slog.Uint64("sluice.sequence", h.event.Sequence), slog.String("messaging.system", "nats"), slog.String("messaging.destination.name", h.from.stream),
	}
	if h.event.Replay != "" {
		about = append(about, slog.String("sluice.replay", h.event.Replay))
	}
	h.span.End(h.ended, err, about...)
}

// traceCopy has the later attempts at a replayed event be a part of the trace of its first one.
func (w *worker) traceCopy(h *inFlight, header nats.Header) {
	if h.from.stream == stream.Replay {
		header.Set(event.HeaderTraceparent, h.span.Traceparent())
	}
}

// traceDeadLetter records that an event was given up.
func (w *worker) traceDeadLetter(h *inFlight, reason string, begin time.Time, failed error) {
	if h.span != nil && h.span.Sampled() {
		tracing.Record(w.tracer, tracing.Start{Name: "dead-letter", Kind: tracing.Producer, Parent: h.span.Traceparent(), At: begin}, time.Now(), failed,
			slog.String("sluice.team", w.team.Name), slog.String("sluice.reason", reason), slog.String("messaging.system", "nats"), slog.String("messaging.destination.name", stream.Dead))
	}
}
