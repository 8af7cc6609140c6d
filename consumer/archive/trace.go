package main

import (
	"log/slog"
	"time"

	"github.com/sluicehq/sluice/internal/tracing"
	"github.com/sluicehq/sluice/pkg/event"
)

// trace records the attempt to write a batch, for each of its events that is traced.
func (a *archiver) trace(b *batch, begin time.Time, err error) {
	if a.tracer == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	end := time.Now()
	for _, msg := range b.held {
		if trace := msg.Headers().Get(event.HeaderTraceparent); trace != "" {
			tracing.Record(a.tracer, tracing.Start{Name: "attempt", Kind: tracing.Consumer, Parent: trace, At: begin}, end, err,
				slog.String("sluice.team", team), slog.Int("sluice.batch", len(b.held)), slog.String("messaging.system", "nats"))
		}
	}
}
