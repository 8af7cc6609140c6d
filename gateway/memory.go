package main

import (
	"context"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/sluicehq/sluice/gateway/ingest"
	"github.com/sluicehq/sluice/gateway/seen"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

// memory remembers which deliveries are stored, in Redis or in this process, and is refilled from the stream where it
// has gaps.
type memory struct {
	ingest.Seen
	shared bool                    // other gateways ask it too
	filled <-chan struct{}         // closed when it knows what was stored before this start; nil where it always does
	of     func(created time.Time) // says which stream it is about
	stop   func()
}

func openMemory(s *Settings, hub *hub, admin *telemetry.Admin, log *slog.Logger) (*memory, error) {
	if s.RedisURL == "" {
		return inProcess(s, hub, admin, log), nil
	}
	return inRedis(s, hub, admin, log)
}

// inProcess is rebuilt at start, behind the first requests: until it is, the stream's duplicate window decides.
func inProcess(s *Settings, hub *hub, admin *telemetry.Admin, log *slog.Logger) *memory {
	m := &refillable{Memory: seen.NewMemory(s.SeenMax), gap: make(chan struct{}, 1), filled: make(chan struct{})}
	f := promauto.With(admin.Registry())
	f.NewGaugeFunc(prometheus.GaugeOpts{Name: "sluice_seen_entries", Help: "Deliveries remembered in memory."}, func() float64 { return float64(m.Len()) })
	f.NewGaugeFunc(prometheus.GaugeOpts{Name: "sluice_seen_entries_limit", Help: "Maximum of sluice_seen_entries; beyond it, the oldest is forgotten. SLUICE_SEEN_MAX sets it."}, func() float64 { return float64(s.SeenMax) })
	f.NewCounterFunc(prometheus.CounterOpts{Name: "sluice_seen_evicted_total", Help: "Deliveries forgotten before their 24 hours were over: raise SLUICE_SEEN_MAX, or set REDIS_URL."}, func() float64 { return float64(m.Evicted()) })
	m.Missed(time.Now().Add(-seen.TTL))
	return &memory{Seen: m, filled: m.filled, of: m.Of, stop: background(func(ctx context.Context) {
		m.run(ctx, func(since time.Time) error { return refill(ctx, hub, m, log, since) }, log)
	})}
}

// refillable is the memory of this process, and where it has a gap.
type refillable struct {
	*seen.Memory
	mu      sync.Mutex
	since   time.Time     // where the gap begins; zero where there is none
	filling bool          // a gap is being filled
	gap     chan struct{} // holds a token when there is one

	filled chan struct{} // closed after the first refill
	once   sync.Once
}

// Timings of a refill.
const (
	refillMargin = 10 * time.Second // between clocks, and between a publish and its place in the stream
	refillAgain  = 2 * time.Second  // after one that failed
)

// Of is [seen.Memory.Of], and what the stream has, which may be older than itself where it is a restored one, is a gap.
func (m *refillable) Of(created time.Time) {
	if m.Memory.Of(created) && !created.IsZero() {
		m.Missed(time.Now().Add(-seen.TTL))
	}
}

// Missed implements [ingest.Seen].
func (m *refillable) Missed(since time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.since.IsZero() || since.Before(m.since) {
		m.since = since
	}
	select {
	case m.gap <- struct{}{}:
	default:
	}
}

// Lacks implements [ingest.Seen].
func (m *refillable) Lacks() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.since.IsZero() || m.filling
}

func (m *refillable) take() (since time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	since, m.since = m.since, time.Time{}
	m.filling = !since.IsZero()
	return since
}

func (m *refillable) took() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.filling = false
}

// run fills gaps until ctx ends, each until it is filled.
func (m *refillable) run(ctx context.Context, refill func(since time.Time) error, log *slog.Logger) {
	for failed := false; ctx.Err() == nil; {
		select {
		case <-m.gap:
		case <-ctx.Done():
			return
		}
		since := m.take()
		if since.IsZero() { // it was taken with the previous one
			continue
		}
		err := refill(since.Add(-refillMargin))
		if err != nil && ctx.Err() == nil {
			if !failed {
				log.Warn("cannot remember what is stored: the stream's duplicate window decides; trying again until it works", "since", since.UTC(), "error", err)
			}
			m.Missed(since)
		}
		m.took()
		if err != nil {
			stream.Pause(ctx, refillAgain)
		}
		if failed = err != nil; !failed {
			m.once.Do(func() { close(m.filled) })
		}
	}
}

func inRedis(s *Settings, hub *hub, admin *telemetry.Admin, log *slog.Logger) (*memory, error) {
	r, err := seen.NewRedis(s.RedisURL, s.RedisTLS.Files(), seen.Layout(s.SeenLayout), log)
	if err != nil {
		return nil, err
	}
	promauto.With(admin.Registry()).NewGaugeFunc(prometheus.GaugeOpts{Name: "sluice_redis_away", Help: "1 while the circuit breaker for Redis, or for one of its shards, is open. Nothing is lost: start Redis, or see /readyz."}, func() float64 {
		if r.State().Away {
			return 1
		}
		return 0
	})
	admin.Watch("redis", func() telemetry.Health { return redisHealth(r.State()) })
	stop := background(func(ctx context.Context) {
		r.Run(ctx, func(ctx context.Context, into seen.Marker, since time.Time) error {
			return refill(ctx, hub, into, log, since)
		})
	})
	return &memory{Seen: r, shared: true, of: func(created time.Time) { r.Of(created) }, stop: func() { stop(); _ = r.Close() }}, nil
}

func redisHealth(s seen.State) telemetry.Health {
	if !s.Away {
		return telemetry.Health{Status: telemetry.OK, Since: s.Since}
	}
	return telemetry.Health{
		Status: telemetry.Degraded, Since: s.Since, Detail: s.Err.Error(),
		Remedy: "deliveries go on and JetStream's duplicate window of 5 minutes stands in: " + s.Remedy(),
	}
}

// refill waits for the hub to open first.
func refill(ctx context.Context, hub *hub, m seen.Marker, log *slog.Logger, since time.Time) error {
	if err := hub.wait(ctx); err != nil {
		return err
	}
	begin := time.Now()
	count, err := ingest.Refill(ctx, hub.js, m, since)
	if err == nil && count > 0 {
		log.Info("remembered what was stored", "events", count, "since", since.UTC(), "took", time.Since(begin))
	}
	if count > manyEvents {
		debug.FreeOSMemory()
	}
	return err
}

// manyEvents is how many events leave so much garbage behind that it is worth giving back at once.
const manyEvents = 50_000

// wait returns when it knows what was stored before this start, or with the error of ctx.
func (m *memory) wait(ctx context.Context) error {
	if m.filled == nil {
		return nil
	}
	select {
	case <-m.filled:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close stops the refilling and the connections. It is called when nothing looks up or marks any more.
func (m *memory) close() { m.stop() }

// background runs f and returns what stops it and waits for its end.
func background(f func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { f(ctx) })
	return func() { cancel(); running.Wait() }
}
