package embedded

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/sluicehq/sluice/internal/stream"
)

// How long a store that has stopped is left alone before it is started again.
const (
	storeEvery  = 500 * time.Millisecond
	longestLeft = time.Minute
	sure        = 3 // looks in a row that find the same: a stream that is being made looks broken for a moment
)

// keep starts JetStream again when it has stopped for good and there is room. After a write that failed, for want of room
// above all, a stream of nats-server's repeats that error for every message, in silence to whoever publishes, or JetStream
// is off; neither ends by itself.
func (s *Server) keep(ctx context.Context) {
	pause, looks, before := storeEvery, 0, ""
	for stream.Pause(ctx, pause); ctx.Err() == nil; stream.Pause(ctx, pause) {
		broken := s.broken()
		if broken == nil || s.room.Full() != nil {
			pause, looks = storeEvery, 0
			continue
		}
		if broken.Error() != before {
			looks, before = 0, broken.Error()
		}
		if looks++; looks < sure {
			continue
		}
		if err := s.restartJetStream(ctx); err != nil {
			s.options.Log.Error("the embedded NATS stores nothing, and cannot restart its store", "error", errors.Join(broken, err), "again_in", pause.String())
		} else {
			s.options.Log.Warn("the embedded NATS restarted its store", "reason", broken)
		}
		pause = min(2*pause, longestLeft)
	}
}

// broken is why the store takes nothing any more.
func (s *Server) broken() error {
	if !s.JetStreamEnabled() {
		return errors.New("JetStream is off")
	}
	if health := s.Healthz(&server.HealthzOptions{}); health.Error != "" {
		return errors.New(health.Error)
	}
	return nil
}

// Steady calls f while the store is not being started again: then streams that lie on the disk are not there for a moment,
// and whoever made them anew would take their place.
func (s *Server) Steady(f func()) {
	s.store.Lock()
	defer s.store.Unlock()
	f()
}

// restartJetStream reads the streams back from the disk, as a start of the server does; connections stay.
func (s *Server) restartJetStream(ctx context.Context) error {
	s.store.Lock()
	defer s.store.Unlock()
	if err := s.ShutdownJetStream(); err != nil {
		return err
	}
	for s.JetStreamConfig() != nil { // nats-server is still turning it off
		if stream.Pause(ctx, 10*time.Millisecond); ctx.Err() != nil {
			return ctx.Err()
		}
	}
	err := s.EnableJetStream(&server.JetStreamConfig{
		StoreDir: s.options.Dir, MaxMemory: maxMemory, MaxStore: s.room.disk + reservable, SyncAlways: true, Strict: true,
	})
	if err != nil {
		return errors.Join(err, s.ShutdownJetStream()) // or it would count as started
	}
	return nil
}
