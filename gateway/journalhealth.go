package main

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/sluicehq/sluice/pkg/telemetry"
)

// waiting is how many deliveries are in the journals and not yet in a stream, and since when the oldest does.
func (j *journals) waiting() (count uint64, since time.Time) {
	count = j.draining.Left()
	if count > 0 {
		since = j.own.Oldest()
	}
	j.adopted.Range(func(_, one any) bool {
		a := one.(adopted)
		if left := a.drain.Left(); left > 0 {
			count += left
			if oldest := a.left.Oldest(); since.IsZero() || oldest.Before(since) {
				since = oldest
			}
		}
		return true
	})
	return count, since
}

// health is about what an operator must know before this machine may be thrown away.
func (j *journals) health() telemetry.Health {
	count, since := j.waiting()
	failed := j.failed.Load()
	if failed != nil && time.Since(failed.at) > failedFor {
		failed = nil
	}
	if failed == nil && (count == 0 || since.IsZero() || time.Since(since) < oldAfter) { // zero: it has just gone
		return telemetry.Health{Status: telemetry.OK, Since: time.Unix(0, j.unwell.Load())}
	}
	j.unwell.Store(time.Now().UnixNano())
	if failed != nil {
		return telemetry.Health{Status: telemetry.Down, Since: failed.at, Detail: "the journal accepts nothing: " + failed.Error(), Remedy: "make room on the disk of SLUICE_DATA, or raise SLUICE_JOURNAL_MAX_BYTES; until then deliveries are answered 503"}
	}
	detail := fmt.Sprintf("%d deliveries are in the journal on this machine and not yet in NATS, the oldest for %s; room for %.1f MiB is left", count, time.Since(since).Round(time.Second), float64(j.own.Left())/(1<<20))
	if err := j.draining.Trouble(); err != nil {
		detail += ": " + err.Error()
	}
	return telemetry.Health{Status: telemetry.Degraded, Since: since, Detail: detail,
		Remedy: "nothing is lost, and the sender gets its 200: see the state of NATS, and keep " + filepath.Join(j.settings.Data, "journal") + " until it is empty"}
}

// measure registers the metrics of the journals.
func (j *journals) measure(registry prometheus.Registerer) {
	f := promauto.With(registry)
	gauge := func(name, help string, value func() float64) {
		f.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	gauge("sluice_journal_deliveries", "Deliveries in the journal that are not in NATS yet: while there are any, keep this machine's disk.", func() float64 { count, _ := j.waiting(); return float64(count) })
	gauge("sluice_journal_oldest_age_seconds", "Age of the oldest delivery in the journal that is not in NATS yet; 0 without one. While it rises, see the state of NATS.", func() float64 {
		if _, since := j.waiting(); !since.IsZero() {
			return time.Since(since).Seconds()
		}
		return 0
	})
	gauge("sluice_journal_bytes", "Size of the journal on disk.", func() float64 { return float64(j.own.Bytes()) })
	gauge("sluice_journal_free_bytes", "Bytes that the journal may still take; beyond it, 503. Bring NATS back, free space on the disk of SLUICE_DATA, or raise SLUICE_JOURNAL_MAX_BYTES.", func() float64 { return float64(j.own.Left()) })
	f.NewCounterFunc(prometheus.CounterOpts{Name: "sluice_journal_damaged_total", Help: "Journal records found damaged: each is a delivery lost on this machine. The log names the place: copy SLUICE_DATA, and replace the disk."}, func() float64 { return float64(j.own.Damaged()) })
	f.NewCounterFunc(prometheus.CounterOpts{Name: "sluice_journal_drained_total", Help: "Deliveries published from the journal to NATS."}, func() float64 { return float64(j.draining.Drained()) })
}
