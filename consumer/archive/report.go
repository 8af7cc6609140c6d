package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/sluicehq/sluice/pkg/telemetry"
)

const filesRemedy = "make SLUICE_ARCHIVE writable, free space there, or correct its credentials; until then events wait in the stream, for as long as it keeps them"

// report makes trouble with the files known, once, and its end.
func (a *archiver) report(err error) {
	before := a.trouble.Load()
	switch {
	case err == nil && before.Status != telemetry.OK:
		a.log.Info("files can be written again")
		a.trouble.Store(&telemetry.Health{Status: telemetry.OK, Since: time.Now()})
	case err != nil:
		since := before.Since
		if before.Status == telemetry.OK {
			since = time.Now()
		}
		a.log.Error("cannot write files: trying again", "error", err, "remedy", filesRemedy)
		a.trouble.Store(&telemetry.Health{Status: telemetry.Degraded, Since: since, Detail: err.Error(), Remedy: filesRemedy})
	}
}

type metrics struct {
	events, repeated, files, bytes prometheus.Counter
	held, waiting, last            prometheus.Gauge
	seconds                        prometheus.Histogram
}

func newMetrics(registry prometheus.Registerer) *metrics {
	f := promauto.With(registry)
	counter := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return f.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	return &metrics{
		events:   counter("sluice_archive_events_total", "Events written into files."),
		repeated: counter("sluice_archive_repeated_total", "Redelivered events that were in a file already."),
		files:    counter("sluice_archive_files_total", "Files written."),
		bytes:    counter("sluice_archive_bytes_total", "Bytes of the files written."),
		held:     gauge("sluice_archive_buffered_events", "Events in memory, not written to a file yet: a restart reads them again."),
		waiting:  gauge("sluice_archive_pending_events", "Pending events in the stream. Where they rise for long, see what /readyz says of files."),
		last:     gauge("sluice_archive_last_file_timestamp_seconds", "Time of the last written file, in seconds since 1970; 0: none since the start."),
		seconds:  f.NewHistogram(prometheus.HistogramOpts{Name: "sluice_archive_file_duration_seconds", Help: "Duration of building and writing a file.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 16)}),
	}
}

func (m *metrics) took(held int, waiting uint64) {
	m.held.Set(float64(held))
	m.waiting.Set(float64(waiting))
}

func (m *metrics) wrote(events, bytes int, took time.Duration) {
	m.events.Add(float64(events))
	m.files.Inc()
	m.bytes.Add(float64(bytes))
	m.seconds.Observe(took.Seconds())
	m.last.SetToCurrentTime()
}
