package tracing

import (
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Process is what a tracer knows of the process that it is for.
type Process struct {
	Name    string // where OTEL_SERVICE_NAME is not set
	Version string
	Log     *slog.Logger

	Sent, Dropped, Lost prometheus.Counter
}

// Opener makes the tracer of a process.
type Opener func(*Settings, Process) (Tracer, error)

var opener Opener

// Register makes an implementation known. Call it from an init function.
func Register(o Opener) { opener = o }

// Open returns the tracer of a process, or nil where no traces are wanted.
func Open(s *Settings, p Process, registry prometheus.Registerer) (Tracer, error) {
	switch {
	case !s.enabled():
		return nil, nil
	case opener == nil:
		p.Log.Warn("an OpenTelemetry collector is set, but this program makes no traces", "remedy", `import _ "github.com/sluicehq/sluice/otel" in its main package`)
		return nil, nil
	}
	spans := promauto.With(registry).NewCounterVec(prometheus.CounterOpts{Name: "sluice_trace_spans_total", Help: "Spans by outcome: sent to the OpenTelemetry collector, dropped (more than it takes), or lost (it did not take them)."}, []string{"outcome"})
	p.Sent, p.Dropped, p.Lost = spans.WithLabelValues("sent"), spans.WithLabelValues("dropped"), spans.WithLabelValues("lost")
	return opener(s, p)
}
