package ingest

import (
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/sluicehq/sluice/internal/tracing"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

// Instruments are where the path reports to.
type Instruments struct {
	Log      *slog.Logger
	Refused  *telemetry.Limiter // one line a cause and interval
	Registry prometheus.Registerer
	Keep     func(*nats.Msg) error // takes what is kept of refused requests; nil keeps nothing
	Tracer   tracing.Tracer        // nil: nothing is traced
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

// latency has the limits that matter: 60 ms of Redis, 0.5 s until the journal answers, the gateway's own 4 s and the
// sender's 5.
var latency = []float64{0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.06, 0.1, 0.25, 0.5, 1, 2.5, 4, 5}

func newMetrics(registry prometheus.Registerer, p *Path) *metrics {
	f := promauto.With(registry)
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		return f.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
	}
	memory := f.NewHistogramVec(prometheus.HistogramOpts{Name: "sluice_seen_duration_seconds", Help: "Duration of one batch of look-ups or marks in Redis or memory. Above 0.06 Redis is not waited for: see its load and the network to it.", Buckets: latency}, []string{"op"})
	m := &metrics{
		requests: map[*answer]prometheus.Counter{}, quarantined: map[reason]prometheus.Counter{},
		seconds:     histogram("sluice_request_duration_seconds", "Time to acknowledge a request, from its headers to its answer. The sender gives up after 5 seconds: above 1, see sluice_publish_duration_seconds, sluice_journal_append_duration_seconds and this machine's load.", latency),
		bytes:       histogram("sluice_request_size_bytes", "Size of a request's body. SLUICE_MAX_BODY is the limit.", prometheus.ExponentialBuckets(128, 4, 8)),
		groups:      histogram("sluice_group_deliveries", "Deliveries that are committed together. Large groups are the normal answer to load.", prometheus.ExponentialBuckets(1, 2, 10)),
		publish:     histogram("sluice_publish_duration_seconds", "Duration of a publish, until NATS acknowledges it. After 0.5 the journal answers instead: see the disks of NATS and the network to it.", latency),
		append:      histogram("sluice_journal_append_duration_seconds", "Duration of writing a group of deliveries into the journal, with its sync. Above 0.1 the disk of SLUICE_DATA is slow or busy.", latency),
		keptCount:   f.NewCounter(prometheus.CounterOpts{Name: "sluice_journal_kept_total", Help: "Deliveries answered from the journal: all of them with the embedded NATS, with your own NATS those that it did not acknowledge in time. Where these rise, see the state of NATS."}),
		lookup:      memory.WithLabelValues("lookup"),
		mark:        memory.WithLabelValues("mark"),
		memoryFails: f.NewCounter(prometheus.CounterOpts{Name: "sluice_seen_failures_total", Help: "Look-ups that Redis did not answer; the stream's duplicate window deduplicated instead. See Redis when they rise."}),
		marksMissed: f.NewCounter(prometheus.CounterOpts{Name: "sluice_marks_missed_total", Help: "Stored deliveries that could not be marked as seen at once; they are marked later, from the stream."}),
	}
	requests := f.NewCounterVec(prometheus.CounterOpts{Name: "sluice_requests_total", Help: "Requests by answer. sluicectl refused shows what was refused."}, []string{"answer"})
	for _, a := range p.answers.all {
		m.requests[a] = requests.WithLabelValues(a.label)
	}
	quarantined := f.NewCounterVec(prometheus.CounterOpts{Name: "sluice_quarantined_total", Help: "Authentic deliveries put into quarantine, by reason: see and release them with sluicectl quarantine."}, []string{"reason"})
	for _, why := range []reason{unroutable, late, replayed} {
		m.quarantined[why] = quarantined.WithLabelValues(string(why))
	}
	m.handshakes = f.NewCounterVec(prometheus.CounterOpts{Name: "sluice_tls_handshakes_total", Help: "TLS handshakes by result: ok, or why one failed."}, []string{"result"})
	m.matches = f.NewCounterVec(prometheus.CounterOpts{Name: "sluice_secret_matches_total", Help: "Authentic deliveries by the secret that signed them: the first 8 hex digits of its SHA-256. Remove an old secret when its count stands still."}, []string{"secret"})
	m.lastMatch = f.NewGaugeVec(prometheus.GaugeOpts{Name: "sluice_secret_last_match_timestamp_seconds", Help: "When a secret last signed an authentic delivery."}, []string{"secret"})
	f.NewGaugeFunc(prometheus.GaugeOpts{Name: "sluice_requests_in_flight", Help: "Concurrent requests now."}, func() float64 { return float64(p.inside.Load()) })
	f.NewGaugeFunc(prometheus.GaugeOpts{Name: "sluice_requests_in_flight_limit", Help: "Maximum of sluice_requests_in_flight; beyond it, 503. SLUICE_MAX_INFLIGHT sets it."}, func() float64 { return float64(p.MaxInflight) })
	f.NewGaugeFunc(prometheus.GaugeOpts{Name: "sluice_requests_in_flight_bytes", Help: "Memory used by the bodies of concurrent requests."}, func() float64 { return float64(p.bytes.used.Load()) })
	f.NewGaugeFunc(prometheus.GaugeOpts{Name: "sluice_requests_in_flight_limit_bytes", Help: "Maximum of sluice_requests_in_flight_bytes; beyond it, 503. SLUICE_MAX_INFLIGHT_BYTES sets it."}, func() float64 { return float64(p.bytes.most) })
	f.NewCounterFunc(prometheus.CounterOpts{Name: "sluice_publish_resent_total", Help: "Messages published again because NATS did not acknowledge them in time. Where these rise, NATS loses its leader or is slow."}, func() float64 { return float64(p.hub.Resent()) })
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
