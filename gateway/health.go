package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

const (
	watchEvery = 500 * time.Millisecond
	askWithin  = time.Second
)

var (
	errStarting = errors.New("not connected yet")
	errLost     = errors.New("the connection is lost")
)

// makeRoom is the remedy for a full disk.
const makeRoom = "make room on the disk, or lower SLUICE_EVENTS_MAX_BYTES and start the gateway again, which drops the oldest events; with room it goes on by itself"

// startIt is the remedy for a NATS that does not answer, mendIt for one that answers and stores nothing.
func (h *hub) startIt() string {
	return h.meanwhile() + ": find out why the stream has no leader, or start NATS at " + h.url
}

func (h *hub) mendIt() string {
	return h.meanwhile() + ": make room for NATS at " + h.url + ", raise its limits, or repair what the error says"
}

// meanwhile is what becomes of deliveries while NATS stores nothing.
func (h *hub) meanwhile() string {
	if h.spills {
		return "deliveries are kept in the journal and answered 200"
	}
	return "deliveries are answered 503, and the sender retries"
}

// missed is how the gateway is while NATS stores nothing: it goes on where it has a journal.
func (h *hub) missed() telemetry.Status {
	if h.spills {
		return telemetry.Degraded
	}
	return telemetry.Down
}

// watch looks from time to time at everything that storing an event needs.
func (h *hub) watch(ctx context.Context) {
	for ; ctx.Err() == nil; stream.Pause(ctx, watchEvery) {
		if status, remedy, err := h.look(ctx); ctx.Err() == nil {
			h.note(status, err, remedy)
		}
	}
}

// look tells how the hub is. What the last publishes were told comes before what NATS says of itself: a server that is
// full, or that lost its followers, looks well for a while.
func (h *hub) look(ctx context.Context) (status telemetry.Status, remedy string, err error) {
	if err := h.full(); err != nil {
		return telemetry.Down, makeRoom, err
	}
	if !h.nc.IsConnected() {
		return h.missed(), h.startIt(), errLost
	}
	if err := h.absent.Load(); err != nil {
		return h.missed(), h.mendIt(), *err
	}
	if err := h.publisher.Outcome().Failing(time.Now()); err != nil {
		if errors.Is(err, stream.ErrRefused) {
			return h.missed(), h.mendIt(), err
		}
		return h.missed(), h.startIt(), err
	}
	if err := h.check(ctx); err != nil {
		return h.missed(), h.startIt(), err
	}
	if h.embedded != nil {
		if err := h.embedded.Room().Low(); err != nil {
			return telemetry.Degraded, makeRoom, err
		}
	}
	return telemetry.OK, "", nil
}

// full says that nothing more may be stored where the server is ours and its disk is full.
func (h *hub) full() error {
	if h.embedded == nil {
		return nil
	}
	if room := h.embedded.Room(); room != nil {
		return room.Full()
	}
	if err := h.noRoom.Load(); err != nil {
		return *err
	}
	return nil
}

// check asks for the stream: a connection alone does not say that JetStream can store.
func (h *hub) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	events, err := h.events(ctx)
	if err != nil {
		return err
	}
	if cluster := events.Cluster; cluster != nil && cluster.Leader == "" {
		return fmt.Errorf("stream %s has no leader", stream.Events)
	}
	return nil
}

// events asks for the stream, and tells which one it is.
func (h *hub) events(ctx context.Context) (*jetstream.StreamInfo, error) {
	events, err := h.js.Stream(ctx, stream.Events)
	if err != nil {
		return nil, err
	}
	h.follow(events.CachedInfo().Created)
	return events.CachedInfo(), nil
}

// note keeps the state and since when it lasts, and logs what begins and ends after the start.
func (h *hub) note(status telemetry.Status, err error, remedy string) {
	now, before := telemetry.Health{Status: status, Since: time.Now(), Remedy: remedy}, h.state.Load()
	if err != nil {
		now.Detail = err.Error()
	}
	if before != nil && before.Status == status {
		now.Since = before.Since
	}
	h.state.Store(&now)
	switch {
	case before == nil || before.Status == status || !h.isOpen():
	case status == telemetry.OK:
		h.log.Info("NATS works again", "was", string(before.Status), "for", now.Since.Sub(before.Since).Round(time.Millisecond).String())
	default:
		h.log.Warn("NATS is "+string(status), "error", now.Detail, "remedy", remedy)
	}
}

func (h *hub) isOpen() bool {
	select {
	case <-h.opened:
		return true
	default:
		return false
	}
}

func (h *hub) health() telemetry.Health { return *h.state.Load() }
