package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

const watchEvery = time.Second

var errStarting = errors.New("not connected yet")

// watch asks for the stream from time to time: a connection alone does not say that JetStream can store.
func (h *hub) watch(ctx context.Context) {
	h.note(nil)
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			h.note(h.check(ctx))
		}
	}
}

func (h *hub) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, watchEvery)
	defer cancel()
	events, err := h.js.Stream(ctx, stream.Events)
	if err != nil {
		return err
	}
	if cluster := events.CachedInfo().Cluster; cluster != nil && cluster.Leader == "" {
		return fmt.Errorf("stream %s has no leader", stream.Events)
	}
	return nil
}

// note keeps the state and since when it lasts.
func (h *hub) note(err error) {
	now := telemetry.Health{Status: telemetry.OK, Since: time.Now()}
	if err != nil {
		now.Status, now.Detail = telemetry.Down, err.Error()
		now.Remedy = "deliveries are answered 503 and the sender comes back: start NATS at " + h.url + ", or see why it has no leader"
	}
	if before := h.state.Load(); before != nil && before.Status == now.Status {
		now.Since = before.Since
	}
	h.state.Store(&now)
}

func (h *hub) health() telemetry.Health { return *h.state.Load() }
