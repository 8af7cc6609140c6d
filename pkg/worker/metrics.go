package worker

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics are in a registry of their own, so that a team can run again in the same process.
type metrics struct {
	registry *prometheus.Registry
	attempts map[kind]prometheus.Counter
	failures *prometheus.CounterVec
	seconds  prometheus.Histogram
	total    atomic.Uint64 // events that are done or given up, for the progress

	lag, oldest, atRisk prometheus.Gauge
	paused              prometheus.Gauge
	pauses, forgotten   prometheus.Counter
}

func newMetrics(w *worker) *metrics {
	m := &metrics{registry: prometheus.NewRegistry(), attempts: map[kind]prometheus.Counter{}}
	f := promauto.With(prometheus.WrapRegistererWith(prometheus.Labels{"team": w.team.Name}, m.registry))
	gauge := func(name, help string) prometheus.Gauge {
		return f.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	attempts := f.NewCounterVec(prometheus.CounterOpts{Name: "sluice_consumer_attempts_total", Help: "Attempts by outcome: processed, failed (to be retried), dead (dead-lettered), or not_counted (something that the handler depends on was away)."}, []string{"outcome"})
	for _, k := range []kind{done, retry, dead, notCounted} {
		m.attempts[k] = attempts.WithLabelValues(string(k))
	}
	m.failures = f.NewCounterVec(prometheus.CounterOpts{Name: "sluice_consumer_failures_total", Help: "Failed attempts by class: error, retry_after, permanent, panic, timeout, or died (the process died while it handled the event). The log and sluicectl dead have the errors."}, []string{"class"})
	m.seconds = f.NewHistogram(prometheus.HistogramOpts{Name: "sluice_consumer_attempt_duration_seconds", Help: "Duration of an attempt: how long the handler took. SLUICE_TIMEOUT ends it.", Buckets: []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300}})
	m.lag = gauge("sluice_consumer_lag", "Events in EVENTS that this team has not processed. Where it rises for long, see what /readyz says, and raise SLUICE_CONCURRENCY or run more processes.")
	m.oldest = gauge("sluice_consumer_oldest_age_seconds", "Age of the oldest event that this team has not processed.")
	m.atRisk = gauge("sluice_consumer_retention_left_seconds", "Time until retention drops an event that this team has not processed; +Inf when there is none. Below a day, let the team process, or raise SLUICE_EVENTS_MAX_AGE of the gateway.")
	m.atRisk.Set(math.Inf(1))
	m.paused = gauge("sluice_consumer_paused", "1 while the circuit breaker pauses the team because many different events fail in a row; /readyz says why.")
	m.pauses = f.NewCounter(prometheus.CounterOpts{Name: "sluice_consumer_pauses_total", Help: "How often the circuit breaker paused the team because many different events failed in a row. See whether what the handler depends on was away."})
	m.forgotten = f.NewCounter(prometheus.CounterOpts{Name: "sluice_consumer_history_lost_total", Help: "Events whose history is lost because NATS did not store it. The events are not: see the state of NATS."})
	f.NewGaugeFunc(prometheus.GaugeOpts{Name: "sluice_consumer_handlers_running", Help: "Events that handlers process now."}, func() float64 { return float64(w.lanes.active()) })
	f.NewGaugeFunc(prometheus.GaugeOpts{Name: "sluice_consumer_handlers_limit", Help: "Maximum of sluice_consumer_handlers_running. SLUICE_CONCURRENCY sets it."}, func() float64 { return float64(w.settings.Concurrency) })
	f.NewGaugeFunc(prometheus.GaugeOpts{Name: "sluice_consumer_in_flight", Help: "Events in flight: delivered to this process and not acknowledged yet."}, func() float64 { return float64(w.lanes.inFlight()) })
	f.NewGaugeFunc(prometheus.GaugeOpts{Name: "sluice_consumer_handlers_stuck", Help: "Handlers that still run although their time is over (SLUICE_TIMEOUT); each occupies one of SLUICE_CONCURRENCY. Find what they wait for in /debug/pprof/goroutine, and restart the process."}, func() float64 { n, _ := w.stuck.state(); return float64(n) })
	return m
}

func (m *metrics) attempted(o outcome, took time.Duration) {
	m.attempts[o.kind].Inc()
	m.seconds.Observe(took.Seconds())
	if o.class != succeeded && o.class != skipped {
		m.failures.WithLabelValues(string(o.class)).Inc()
	}
	if o.kind != notCounted {
		m.total.Add(1)
	}
}

// breakerChanged counts that the circuit breaker has tripped or was reset.
func (m *metrics) breakerChanged(o outage) {
	if o.cause == nil {
		m.paused.Set(0)
		return
	}
	m.paused.Set(1)
	m.pauses.Inc()
}
