package worker

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	attempts map[kind]prometheus.Counter
	seconds  prometheus.Histogram
}

func newMetrics(registry prometheus.Registerer, w *worker) *metrics {
	f := promauto.With(prometheus.WrapRegistererWith(prometheus.Labels{"team": w.team.Name}, registry))
	attempts := f.NewCounterVec(prometheus.CounterOpts{Name: "sluice_consumer_attempts_total", Help: "Attempts by what became of the event: processed, failed (tried again) or dead (given up)."}, []string{"outcome"})
	gauge := func(name, help string, count func(*lanes) int) {
		f.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			if l := w.lanes; l != nil {
				return float64(count(l))
			}
			return 0
		})
	}
	gauge("sluice_consumer_running", "Events being handled now.", (*lanes).active)
	gauge("sluice_consumer_held", "Events taken from the stream and not yet settled.", (*lanes).held)
	return &metrics{
		attempts: map[kind]prometheus.Counter{
			done: attempts.WithLabelValues("processed"), retry: attempts.WithLabelValues("failed"), dead: attempts.WithLabelValues("dead"),
		},
		seconds: f.NewHistogram(prometheus.HistogramOpts{Name: "sluice_consumer_seconds", Help: "Duration of an attempt.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 18)}),
	}
}

func (m *metrics) attempted(o outcome, took time.Duration) {
	m.attempts[o.kind].Inc()
	m.seconds.Observe(took.Seconds())
}
