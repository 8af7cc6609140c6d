package main

import (
	"context"
	"log/slog"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehq/sluice/gateway/embedded"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/internal/team"
)

// levels are how full the streams are and how far each team is, as NATS told last. It is asked from time to time and not
// by a scrape, so that many scrapes cost no more than one. What it does not tell any more is missing in the metrics,
// rather than standing still there.
type levels struct {
	js       jetstream.JetStream
	embedded *embedded.Server // nil with a NATS of one's own
	log      *slog.Logger
	latest   atomic.Pointer[[]prometheus.Metric]
}

const (
	levelsEvery  = 15 * time.Second
	levelsAgain  = time.Minute // while NATS does not tell: it may be a permission that is not there
	levelsWithin = 5 * time.Second
)

// watchLevels measures from when the hub is open until stop is called, which waits for its end.
func watchLevels(h *hub, registry prometheus.Registerer, log *slog.Logger) (stop func()) {
	l := &levels{js: h.js, embedded: h.embedded, log: log}
	registry.MustRegister(l)
	return background(func(ctx context.Context) {
		if h.wait(ctx) == nil {
			l.run(ctx, levelsEvery)
		}
	})
}

func (l *levels) run(ctx context.Context, every time.Duration) {
	for ctx.Err() == nil {
		all, err := l.measure(ctx)
		wait := every
		if err != nil {
			l.log.Debug("cannot measure the streams and the teams' lag", "error", err)
			wait = max(every, levelsAgain)
		}
		l.latest.Store(&all)
		stream.Pause(ctx, wait)
	}
}

var (
	streamMessages = levelDesc("sluice_stream_messages", "Messages in a stream: DEAD has the dead letters (sluicectl dead), RETRY the events that wait for a retry, QUARANTINE what was unroutable, late or replayed (sluicectl quarantine).", "stream")
	streamBytes    = levelDesc("sluice_stream_bytes", "Bytes in a stream.", "stream")
	streamLimit    = levelDesc("sluice_stream_limit_bytes", "Maximum bytes of a stream; beyond it, the oldest messages are dropped; +Inf where only the store limits it.", "stream")
	storeBytes     = levelDesc("sluice_store_bytes", "Bytes that all streams of this NATS account hold on disk.")
	storeLimit     = levelDesc("sluice_store_limit_bytes", "Maximum of sluice_store_bytes; beyond it, deliveries are refused: the account's limit, +Inf if it has none, or with the embedded NATS what fits on the disk. Raise the limit, make room, or lower SLUICE_EVENTS_MAX_BYTES or SLUICE_EVENTS_MAX_AGE.")
)

func levelDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

func level(d *prometheus.Desc, value float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

// Describe implements [prometheus.Collector].
func (l *levels) Describe(all chan<- *prometheus.Desc) {
	for _, d := range slices.Concat([]*prometheus.Desc{streamMessages, streamBytes, streamLimit, storeBytes, storeLimit}, teamDescs) {
		all <- d
	}
}

// Collect implements [prometheus.Collector].
func (l *levels) Collect(all chan<- prometheus.Metric) {
	if latest := l.latest.Load(); latest != nil {
		for _, m := range *latest {
			all <- m
		}
	}
}

// measure asks NATS: for each stream, for the account, and for the teams. With an error it returns what was told before.
func (l *levels) measure(ctx context.Context) (all []prometheus.Metric, err error) {
	ctx, cancel := context.WithTimeout(ctx, levelsWithin)
	defer cancel()
	retries, err := stream.Retries(ctx, l.js)
	if err != nil {
		return all, err
	}
	for _, name := range append([]string{stream.Events, stream.Quarantine, stream.Dead, stream.Replay}, retries...) {
		s, err := l.js.Stream(ctx, name)
		if err != nil {
			return all, err
		}
		info := s.CachedInfo()
		all = append(all, level(streamMessages, float64(info.State.Msgs), name), level(streamBytes, float64(info.State.Bytes), name),
			level(streamLimit, limitOf(info.Config.MaxBytes), name))
	}
	account, err := l.js.AccountInfo(ctx)
	if err != nil {
		return all, err
	}
	limit, err := l.storeLimit(account)
	if err != nil {
		return all, err
	}
	all = append(all, level(storeBytes, float64(account.Store)), level(storeLimit, limitOf(limit)))
	teams, err := team.Levels(ctx, l.js)
	return append(all, teamLevels(teams, time.Now())...), err
}

// storeLimit is the account's, or what the disk of the server inside has room for besides.
func (l *levels) storeLimit(account *jetstream.AccountInfo) (int64, error) {
	if l.embedded == nil {
		return account.Limits.MaxStore, nil
	}
	left, err := l.embedded.Room().Left()
	return int64(account.Store) + left, err
}

// limitOf is a limit as metrics tell it: none is +Inf.
func limitOf(bytes int64) float64 {
	if bytes <= 0 {
		return math.Inf(1)
	}
	return float64(bytes)
}
