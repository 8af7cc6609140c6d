package worker

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/pkg/event"
)

const (
	fetchWait  = time.Second            // an empty fetch ends after it: so a stop waits for it at most
	fetchPause = 250 * time.Millisecond // after a fetch that failed
)

// take fetches as many events as there is room for in the lanes, until ctx ends. Nothing is fetched ahead: what a
// process holds it keeps in progress, and the rest is free for other instances.
func (w *worker) take(ctx context.Context, durable jetstream.Consumer) error {
	for ctx.Err() == nil {
		room := w.lanes.room(ctx)
		if room == 0 {
			break
		}
		err := w.fetch(ctx, durable, room)
		if err == nil {
			continue
		}
		w.log.Debug("fetch", "error", err)
		if errors.Is(err, jetstream.ErrConsumerDeleted) || errors.Is(err, jetstream.ErrConsumerNotFound) {
			w.log.Warn("the team's consumer was removed from NATS: making it again", "start", w.settings.Start.String())
			if durable, err = w.declare(ctx); err != nil {
				return stopped(ctx, err)
			}
		}
		pause(ctx, fetchPause)
	}
	return nil
}

func (w *worker) fetch(ctx context.Context, durable jetstream.Consumer, room int) error {
	batch, err := durable.Fetch(room, jetstream.FetchMaxWait(fetchWait))
	if err != nil {
		return err
	}
	for msg := range batch.Messages() {
		if ctx.Err() != nil { // given out while the process stops: another instance may have it at once
			_ = msg.Nak()
			continue
		}
		w.accept(msg)
	}
	return batch.Error()
}

// accept puts a message into its lane. One that is no event cannot be handled by anyone: it is no event's loss.
func (w *worker) accept(msg jetstream.Msg) {
	h, err := newHeld(msg)
	if err != nil {
		w.log.Error("skipping a message that is no event", "subject", msg.Subject(), "error", err)
		_ = msg.TermWithReason(err.Error())
		return
	}
	key := ""
	if w.team.Key != nil {
		key = w.keyOf(h.event)
	}
	w.lanes.add(key, h)
}

// keyOf takes a panic of the team's function for "no key": the handler will say what is wrong with the event.
func (w *worker) keyOf(e *event.Event) (key string) {
	defer func() {
		if recover() != nil {
			key = ""
		}
	}()
	return w.team.Key(e)
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
