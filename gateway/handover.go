package main

import (
	"context"
	"os"
	"path/filepath"
	"sync"

	"github.com/sluicehq/sluice/gateway/drain"
	"github.com/sluicehq/sluice/gateway/ingest"
	"github.com/sluicehq/sluice/gateway/journal"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/internal/tracing"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

// adopted is a journal that another gateway has left.
type adopted struct {
	left  *journal.Journal
	drain *drain.Drain
}

// drain begins to hand the journals over, as soon as NATS can store and the memory knows what was stored before. What it
// returns ends that, and gives what is left a moment.
func (j *journals) drain(h *hub, m *memory, path *ingest.Path, admin *telemetry.Admin, tracer tracing.Tracer) (stop func()) {
	if j == nil {
		return func() {}
	}
	j.into = drain.Config{JS: h.js, Publisher: h.publisher, Settled: path.Drained, Tracer: tracer}
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
