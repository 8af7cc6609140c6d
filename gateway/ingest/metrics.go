package ingest

import (
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/sluicehq/sluice/pkg/telemetry"
)

// Instruments are where the path reports to.
type Instruments struct {
	Log      *slog.Logger
	Refused  *telemetry.Limiter // one line a cause and interval
	Registry prometheus.Registerer
	Keep     func(*nats.Msg) error // takes what is kept of refused requests; nil keeps nothing
}

// metrics are resolved once: looking up a label costs more than counting.
type metrics struct {
	requests    map[*answer]prometheus.Counter
	seconds     prometheus.Histogram
	bytes       prometheus.Histogram
	groups      prometheus.Histogram
	lookup      prometheus.Observer
	mark        prometheus.Observer
	memoryFails prometheus.Counter
	marksMissed prometheus.Counter
	publish     prometheus.Histogram
	append      prometheus.Histogram
	keptCount   prometheus.Counter
	quarantined map[reason]prometheus.Counter
	handshakes  *prometheus.CounterVec
	matches     *prometheus.CounterVec
	lastMatch   *prometheus.GaugeVec
}

func newMetrics(registry prometheus.Registerer, p *Path) *metrics {
	f := promauto.With(registry)
	latency := prometheus.ExponentialBuckets(0.0001, 2, 16) // 0.1 ms to 3.3 s
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		return f.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
	}
	memory := f.NewHistogramVec(prometheus.HistogramOpts{
		Name: "sluice_seen_seconds", Help: "Duration of one batch of look-ups or marks in Redis or memory.", Buckets: latency,
	}, []string{"op"})
	m := &metrics{
		requests: map[*answer]prometheus.Counter{}, quarantined: map[reason]prometheus.Counter{},
		seconds:     histogram("sluice_request_seconds", "Duration of a request, from its headers to its answer.", latency),
		bytes:       histogram("sluice_request_bytes", "Size of a body.", prometheus.ExponentialBuckets(128, 4, 8)),
		groups:      histogram("sluice_group_deliveries", "Deliveries that are committed together.", prometheus.ExponentialBuckets(1, 2, 10)),
		publish:     histogram("sluice_publish_seconds", "Duration of a publish, until NATS acknowledges it.", latency),
		append:      histogram("sluice_journal_append_seconds", "Duration of writing a group of deliveries into the journal, with its sync.", latency),
		keptCount:   f.NewCounter(prometheus.CounterOpts{Name: "sluice_journal_kept_total", Help: "Deliveries answered from the journal: all of them with the embedded NATS, with your own NATS those that it did not acknowledge in time."}),
		lookup:      memory.WithLabelValues("lookup"),
		mark:        memory.WithLabelValues("mark"),
		memoryFails: f.NewCounter(prometheus.CounterOpts{Name: "sluice_seen_failures_total", Help: "Look-ups that Redis did not answer; the stream's duplicate window deduplicated instead."}),
		marksMissed: f.NewCounter(prometheus.CounterOpts{Name: "sluice_marks_missed_total", Help: "Stored deliveries that could not be marked as seen at once; they are marked later, from the stream."}),
	}
	requests := f.NewCounterVec(prometheus.CounterOpts{Name: "sluice_requests_total", Help: "Requests by answer."}, []string{"answer"})
	for _, a := range p.answers.all {
		m.requests[a] = requests.WithLabelValues(a.label)
	}
	quarantined := f.NewCounterVec(prometheus.CounterOpts{Name: "sluice_quarantined_total", Help: "Authentic deliveries put into quarantine, by reason."}, []string{"reason"})
	for _, why := range []reason{unroutable, late, replayed} {
		m.quarantined[why] = quarantined.WithLabelValues(string(why))
	}
	m.handshakes = f.NewCounterVec(prometheus.CounterOpts{Name: "sluice_tls_handshakes_total", Help: "TLS handshakes by result: ok, or why one failed."}, []string{"result"})
	m.matches = f.NewCounterVec(prometheus.CounterOpts{Name: "sluice_secret_matches_total", Help: "Authentic deliveries by the secret that signed them: the first 8 hex digits of its SHA-256."}, []string{"secret"})
	m.lastMatch = f.NewGaugeVec(prometheus.GaugeOpts{Name: "sluice_secret_last_match_timestamp_seconds", Help: "When a secret last signed an authentic delivery."}, []string{"secret"})
	f.NewGaugeFunc(prometheus.GaugeOpts{Name: "sluice_inflight", Help: "Concurrent requests now."}, func() float64 { return float64(p.inside.Load()) })
	f.NewGaugeFunc(prometheus.GaugeOpts{Name: "sluice_inflight_bytes", Help: "Memory used by the bodies of concurrent requests."}, func() float64 { return float64(p.bytes.used.Load()) })
	f.NewCounterFunc(prometheus.CounterOpts{Name: "sluice_resent_total", Help: "Messages published again because NATS did not acknowledge them in time."}, func() float64 { return float64(p.hub.Resent()) })
	return m
}

func (m *metrics) answered(a *answer, took time.Duration, size int) {
	m.requests[a].Inc()
	m.seconds.Observe(took.Seconds())
	m.bytes.Observe(float64(size))
}

func (m *metrics) looked(took time.Duration, err error) {
	m.lookup.Observe(took.Seconds())
	if err != nil {
		m.memoryFails.Inc()
	}
}

// kept counts a group that was written into the journal, or was not.
func (m *metrics) kept(took time.Duration, count int, err error) {
	if err == nil {
		m.append.Observe(took.Seconds())
		m.keptCount.Add(float64(count))
	}
}

func (m *metrics) marked(took time.Duration, err error) {
	if err == nil {
		m.mark.Observe(took.Seconds())
	}
}

func (m *metrics) settled(d *delivery, err error) {
	if err != nil {
		return
	}
	m.publish.Observe(time.Since(d.published).Seconds())
	m.putAside(d)
}

func (m *metrics) putAside(d *delivery) {
	if d.quarantined != "" {
		m.quarantined[d.quarantined].Inc()
	}
}
