package drain

import (
	"log/slog"
	"time"

	"github.com/sluicehq/sluice/internal/tracing"
)

// trace records for each entry that it was published, as a part of the trace of its request: that may be from before an
// outage, or from another process.
func (d *Drain) trace(published []*entry, begin time.Time) {
	end := time.Now()
	for _, e := range published {
		if e.trace != "" {
			tracing.Record(d.Tracer, tracing.Start{Name: "publish", Kind: tracing.Producer, Parent: e.trace, At: begin}, end, nil,
				slog.String("messaging.system", "nats"), slog.Bool("sluice.from_journal", true))
		}
	}
}
