package main

import (
	"context"
	"slices"
	"time"

	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

const (
	keepEvery  = time.Second
	makeWithin = 10 * time.Second
)

// keepStreams creates streams again that disappear while the gateway runs: because somebody removed them, or NATS came
// back with another store. Without EVENTS nothing can be stored; without the others, teams cannot retry or dead-letter.
func (h *hub) keepStreams(ctx context.Context) {
	again := telemetry.NewLimiter(h.log, 30*time.Second)
	for stream.Pause(ctx, keepEvery); ctx.Err() == nil; stream.Pause(ctx, keepEvery) {
		var err error
		if h.embedded == nil {
			err = h.makeAbsent(ctx)
		} else {
			h.embedded.Steady(func() { err = h.makeAbsent(ctx) })
		}
		switch {
		case ctx.Err() != nil:
		case err == nil:
			h.absent.Store(nil)
		default:
			h.absent.Store(&err)
			again.Warn(err.Error(), "cannot create the streams that were removed from NATS", err, "the gateway goes on trying")
		}
	}
}

// makeAbsent creates the streams that are missing. A NATS that does not list its streams is no error here: watch
// reports it.
func (h *hub) makeAbsent(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, makeWithin)
	defer cancel()
	absent, err := stream.Absent(bounded, h.js)
	if err != nil || len(absent) == 0 {
		return nil
	}
	if slices.Contains(absent, stream.Events) {
		h.follow(time.Time{}) // or the first repetition of what it held would be a duplicate
	}
	if err := h.declare(bounded); err != nil {
		return err
	}
	h.log.Warn("streams were removed from NATS, or it came back with another store: created them again, empty", "streams", absent)
	return nil
}

// leastEvents are enough to tell how often one comes.
const leastEvents = 10

// usualGap is the mean time between two of the stored events; it is not ok where there are too few.
func (h *hub) usualGap(ctx context.Context) (gap time.Duration, ok bool) {
	events, err := h.events(ctx)
	if err != nil || events.State.Msgs < leastEvents {
		return 0, false
	}
	return events.State.LastTime.Sub(events.State.FirstTime) / time.Duration(events.State.Msgs-1), true
}
