package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/sluicehq/sluice/gateway/drain"
	"github.com/sluicehq/sluice/gateway/ingest"
	"github.com/sluicehq/sluice/gateway/journal"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

// journals are the gateway's own journal, and those that others have left on this machine with something in them. Each lies
// in a numbered folder, so that a new version may start while the old one still runs.
type journals struct {
	settings *Settings
	log      *slog.Logger
	own      *journal.Journal
	folder   string       // of the own one
	into     drain.Config // of all
	draining *drain.Drain // the own one
	adopted  sync.Map     // by folder
	tried    sync.Map     // folders of others that have something set aside
	failed   atomic.Pointer[failure]
	unwell   atomic.Int64 // when it was not well last, or started; Unix nanoseconds
}

// adopted is a journal that another gateway has left.
type adopted struct {
	left  *journal.Journal
	drain *drain.Drain
}

// failure is why the journal did not take a group.
type failure struct {
	error
	at time.Time
}

const (
	mostJournals = 16
	adoptEvery   = 10 * time.Second
	spillRate    = 20_000                 // entries a second that go to a NATS elsewhere beside live deliveries
	emptyWithin  = 500 * time.Millisecond // at a stop: what is left is for the next start
	oldAfter     = 5 * time.Second        // an entry that waits for longer is worth a word
	failedFor    = 10 * time.Second       // after a failure: with NATS back nothing may be kept that would show its end
)

// openJournals opens the first journal that no other process has; nil where the deployment wants none.
func openJournals(s *Settings, log *slog.Logger) (*journals, error) {
	j := &journals{settings: s, log: log}
	if s.Journal == "off" {
		j.warnOfLeft()
		return nil, nil
	}
	if err := os.MkdirAll(s.Data, 0o755); err != nil {
		return nil, fmt.Errorf("SLUICE_DATA=%q: %w: name a folder that this user may write; or set SLUICE_JOURNAL=off for a machine without a persistent disk", s.Data, err)
	}
	j.unwell.Store(time.Now().UnixNano())
	for n := 1; n <= mostJournals; n++ {
		own, err := j.open(j.path(n))
		if err == nil {
			j.own, j.folder = own, j.path(n)
			return j, nil
		}
		if !isInUse(err) {
			return nil, fmt.Errorf("SLUICE_DATA=%q: %w; or set SLUICE_JOURNAL=off for a machine without a persistent disk", s.Data, err)
		}
	}
	return nil, fmt.Errorf("SLUICE_DATA=%q: %d gateways use it already: give this one a folder of its own", s.Data, mostJournals)
}

// warnOfLeft names what lies in journals that nobody publishes while they are off.
func (j *journals) warnOfLeft() {
	for n := 1; n <= mostJournals; n++ {
		if !isThere(j.path(n)) {
			continue
		}
		left, err := j.open(j.path(n))
		if err != nil {
			continue // another gateway has it
		}
		if left.Depth() > 0 {
			j.log.Error("a journal has deliveries that are not published", "deliveries", left.Depth(), "folder", j.path(n), "remedy", "start the gateway once without SLUICE_JOURNAL=off")
		}
		_ = left.Close() // all of it is synced
	}
}

func (j *journals) path(n int) string {
	return filepath.Join(j.settings.Data, "journal", fmt.Sprintf("%02d", n))
}

func (j *journals) open(folder string) (*journal.Journal, error) {
	return journal.Open(journal.Options{Dir: folder, MaxBytes: j.limit(), Log: j.log})
}

// limit is what the deployment allows, and on a small disk less: the embedded NATS needs most of it for the streams.
func (j *journals) limit() int64 {
	limit, share := int64(j.settings.JournalMaxBytes), int64(2)
	if j.settings.NATSURL == "" {
		share = 8
	}
	var disk syscall.Statfs_t
	if err := syscall.Statfs(j.settings.Data, &disk); err == nil {
		limit = min(limit, int64(disk.Blocks)*disk.Bsize/share)
	}
	return max(limit, journal.LeastBytes)
}

func isInUse(err error) bool { return errors.Is(err, syscall.EWOULDBLOCK) }

// Append implements [ingest.Journal], and remembers whether there was room.
func (j *journals) Append(group [][]byte) (first uint64, err error) {
	if first, err = j.own.Append(group); err != nil {
		j.failed.Store(&failure{err, time.Now()})
		return first, err
	}
	if j.failed.Load() != nil {
		j.failed.Store(nil)
	}
	return first, nil
}

// use is nil where there is no journal.
func (j *journals) use() ingest.Journal {
	if j == nil {
		return nil
	}
	return j
}

// left is how many bytes more the own journal may take.
func (j *journals) left() int64 {
	if j == nil {
		return 0
	}
	return j.own.Left()
}

// kept wakes the drain.
func (j *journals) kept() { j.draining.Wake() }

// drain begins to hand the journals over, as soon as NATS can store and the memory knows what was stored before. What it
// returns ends that, and gives what is left a moment.
func (j *journals) drain(h *hub, m *memory, path *ingest.Path, admin *telemetry.Admin) (stop func()) {
	if j == nil {
		return func() {}
	}
	j.into = drain.Config{JS: h.js, Publisher: h.publisher, Settled: path.Drained}
	if h.embedded == nil {
		j.into.Rate = spillRate
	}
	if m.filled != nil {
		j.into.Known = m.Lookup
	}
	j.draining = j.drainOf(j.own, j.folder)
	j.measure(admin.Registry())
	admin.Watch("journal", j.health)
	running := background(func(ctx context.Context) {
		if err := path.Inherit(ctx, j.own); err != nil && ctx.Err() == nil {
			j.log.Warn("cannot read all of the journal: a duplicate of a delivery in it may be written twice; NATS deduplicates it", "folder", j.folder, "error", err)
		}
		if h.wait(ctx) == nil && m.wait(ctx) == nil {
			j.run(ctx)
		}
	})
	return func() {
		if h.embedded == nil { // the embedded one goes with the gateway, and comes with it
			j.draining.Empty(emptyWithin)
		}
		running()
		if left := j.draining.Left(); left > 0 {
			j.log.Info("deliveries stay in the journal: they are published at the next start", "deliveries", left, "folder", j.folder)
		}
	}
}

func (j *journals) drainOf(one *journal.Journal, folder string) *drain.Drain {
	c := j.into
	c.Journal, c.Aside, c.Log = one, filepath.Join(folder, "aside"), j.log
	return drain.New(c)
}

// run hands over until ctx ends: what the own journal keeps, and what others have left.
func (j *journals) run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { j.draining.Run(ctx) })
	for ; ctx.Err() == nil; stream.Pause(ctx, adoptEvery) {
		for n := 1; n <= mostJournals; n++ {
			if folder := j.path(n); folder != j.folder && isThere(folder) {
				running.Go(func() { j.adopt(ctx, folder) })
			}
		}
	}
}

// close is called when nothing is kept or handed over any more.
func (j *journals) close() error {
	if j == nil {
		return nil
	}
	return j.own.Close()
}

func isThere(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// adopt hands over what lies in a journal that nobody has open, and removes it. What is set aside there is tried once.
func (j *journals) adopt(ctx context.Context, folder string) {
	left, err := j.open(folder)
	switch {
	case isInUse(err):
		return
	case err != nil:
		j.log.Error("cannot open a journal that another gateway left: its deliveries are not published", "folder", folder, "error", err)
		return
	}
	defer func() { _ = left.Close() }() // all of it is synced
	d := j.drainOf(left, folder)
	if _, tried := j.tried.LoadOrStore(folder, true); tried && d.Left() == 0 && isThere(d.Aside) {
		return
	}
	j.adopted.Store(folder, adopted{left, d})
	defer j.adopted.Delete(folder)
	d.Finish(ctx)
	if d.Left() == 0 && !isThere(d.Aside) {
		if err := left.Remove(); err != nil {
			j.log.Warn("cannot remove an empty journal", "folder", folder, "error", err)
		}
	}
}

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
	gauge("sluice_journal_deliveries", "Deliveries in the journal that are not in NATS yet.", func() float64 { count, _ := j.waiting(); return float64(count) })
	gauge("sluice_journal_oldest_seconds", "Age of the oldest delivery in the journal that is not in NATS yet.", func() float64 {
		if _, since := j.waiting(); !since.IsZero() {
			return time.Since(since).Seconds()
		}
		return 0
	})
	gauge("sluice_journal_bytes", "Size of the journal on disk.", func() float64 { return float64(j.own.Bytes()) })
	gauge("sluice_journal_left_bytes", "Bytes that the journal may still take; beyond it, 503.", func() float64 { return float64(j.own.Left()) })
	gauge("sluice_journal_damaged", "Journal records found damaged since the start: each is a delivery lost on this machine.", func() float64 { return float64(j.own.Damaged()) })
	f.NewCounterFunc(prometheus.CounterOpts{Name: "sluice_journal_drained_total", Help: "Deliveries published from the journal to NATS."}, func() float64 { return float64(j.draining.Drained()) })
}
