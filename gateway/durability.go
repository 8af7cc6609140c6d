package main

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehq/sluice/internal/durability"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

// worth is what a 200 is worth here and now. NATS is asked when the connection is to another server, and from time to
// time; the rest looks at what was told last.
type worth struct {
	hub       *hub
	journaled func() bool // whether deliveries are answered from the journal now
	log       *slog.Logger
	started   time.Time

	server string    // which one was asked last
	asked  time.Time // and when
	known  atomic.Pointer[durability.Worth]
	said   atomic.Pointer[statement] // the last in the log
}

type statement struct {
	durability.Worth
	since time.Time
}

const (
	worthEvery   = time.Second // what costs nothing
	askNATSEvery = 10 * time.Second
	dataSetting  = "SLUICE_DATA"
)

// watchDurability says what a 200 is worth on /readyz, in a metric and in the log, until stop is called, which waits for
// its end. journaled says whether deliveries are answered from the journal now; it must not block.
func watchDurability(h *hub, journaled func() bool, admin *telemetry.Admin, log *slog.Logger) (stop func()) {
	w := &worth{hub: h, journaled: journaled, log: log, started: time.Now()}
	admin.Watch("durability", w.health)
	admin.Registry().MustRegister(w)
	return background(w.run)
}

func (w *worth) run(ctx context.Context) {
	for ; ctx.Err() == nil; stream.Pause(ctx, worthEvery) {
		w.look(ctx)
		if now := w.now(); now != nil {
			w.tell(*now)
		}
	}
}

// look finds out what is due. What one server told holds until another is asked, or it tells something else: its
// monitoring port may be slow.
func (w *worth) look(ctx context.Context) {
	if w.hub.embedded != nil {
		found := durability.OnThisMachine(dataSetting, w.hub.settings.Data)
		w.known.Store(&found)
		return
	}
	server := w.hub.nc.ConnectedServerId()
	if !w.hub.isOpen() || server == "" || server == w.server && time.Since(w.asked) < askNATSEvery {
		return
	}
	found, ok := w.ask(ctx)
	if !ok {
		return
	}
	if before := w.known.Load(); found.Kept != durability.Unknown || server != w.server || before == nil {
		w.known.Store(found)
	}
	w.server, w.asked = server, time.Now()
}

// ask is not ok while NATS does not tell how many copies it keeps.
func (w *worth) ask(ctx context.Context) (found *durability.Worth, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, levelsWithin)
	defer cancel()
	events, err := w.hub.js.Stream(ctx, stream.Events)
	if err != nil {
		return nil, false
	}
	syncing, err := durability.AskSyncing(ctx, w.hub.nc, w.hub.settings.NATSURL, w.hub.settings.NATSMonitor, w.hub.options.TLS)
	now := durability.InNATS(durability.CopiesOf(events.CachedInfo()), syncing, err)
	return &now, true
}

// now is what a 200 is worth; nil before one can be given.
func (w *worth) now() *durability.Worth {
	if w.journaled() {
		now := durability.InJournal(dataSetting, w.hub.settings.Data)
		return &now
	}
	return w.known.Load()
}

// tell logs what is new.
func (w *worth) tell(now durability.Worth) {
	if said := w.said.Load(); said != nil && said.Worth == now {
		return
	}
	w.said.Store(&statement{now, time.Now()})
	if now.Remedy == "" {
		w.log.Info("what a 200 is worth: " + now.Detail)
		return
	}
	w.log.Warn("what a 200 is worth: "+now.Detail, "remedy", now.Remedy)
}

func (w *worth) health() telemetry.Health {
	now := w.now()
	if now == nil {
		return telemetry.Health{Status: telemetry.OK, Since: w.started, Detail: "not known yet"}
	}
	h := telemetry.Health{Status: telemetry.OK, Since: time.Now(), Detail: now.Detail, Remedy: now.Remedy}
	if now.Remedy != "" {
		h.Status = telemetry.Degraded
	}
	if said := w.said.Load(); said != nil && said.Worth == *now {
		h.Since = said.since
	}
	return h
}

var durabilityInfo = levelDesc("sluice_durability_info", "What a 200 is worth; the value is 1. kept is synced (on disk), journal (synced by this gateway until NATS is back), container (gone with it), memory (lost in a power cut) or unknown; /readyz says it in a sentence.", "kept")

// Describe implements [prometheus.Collector].
func (w *worth) Describe(all chan<- *prometheus.Desc) { all <- durabilityInfo }

// Collect implements [prometheus.Collector].
func (w *worth) Collect(all chan<- prometheus.Metric) {
	if now := w.now(); now != nil {
		all <- level(durabilityInfo, 1, string(now.Kept))
	}
}
