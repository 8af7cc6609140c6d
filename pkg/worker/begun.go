package worker

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

// How often an event was given out says nothing about it: a stop, a deploy or an outage gives events back that no
// handler ever saw. So, once an event has come back, each start of its handler is noted in NATS before it, and the note
// is taken back when the handler returns: what is left are the starts without a return, because the process died
// meanwhile. Notes end by themselves.

// errDied counts as a failed attempt of an event whose handler began several times and never returned: the processes
// that handled it have died, and it may be why. Waiting for a retry sets it apart from the events it was with.
var errDied = errors.New("redelivered: earlier workers died, or lost their connections, before acknowledging")

const (
	maxBegun   = 3 // starts without a return that count as a failed attempt
	noteWithin = 2 * time.Second
)

// noteStart notes that the handler of an event is about to be called. It returns errDied where it must not be. Where NATS
// does not take the note the event is handled without one.
func (w *worker) noteStart(ctx context.Context, h *inFlight) error {
	if !h.again {
		return nil
	}
	begun, err := w.begun(ctx, h)
	switch {
	case err != nil:
		w.log.Debug("cannot read how often an event was started", "delivery", h.event.Delivery, "error", err)
		return nil
	case begun >= maxBegun:
		return errDied
	}
	h.begun = begun
	h.noted.Store(true)
	w.note(ctx, h, begun+1)
	return nil
}

// takeBackStart takes the note back: the handler has returned, or is left behind by a stop, and nothing is settled.
func (w *worker) takeBackStart(h *inFlight) {
	if h.noted.Swap(false) {
		w.note(context.Background(), h, h.begun)
	}
}

func (w *worker) begun(ctx context.Context, h *inFlight) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, noteWithin)
	defer cancel()
	notes, err := w.js.Stream(ctx, stream.Begun)
	if err != nil {
		return 0, err
	}
	note, err := notes.GetLastMsgForSubject(ctx, event.BegunSubject(w.team.Name, h.origin))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(note.Data))
}

func (w *worker) note(ctx context.Context, h *inFlight, begun int) {
	ctx, cancel := context.WithTimeout(ctx, noteWithin)
	defer cancel()
	_, err := w.js.Publish(ctx, event.BegunSubject(w.team.Name, h.origin), strconv.AppendInt(nil, int64(begun), 10))
	if err != nil {
		w.log.Debug("cannot note how often an event was started", "delivery", h.event.Delivery, "error", err)
	}
}
