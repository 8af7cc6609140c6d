package worker

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

// intake takes what waits for the team in one stream. What it holds is bounded, so that events that wait behind each
// other stop the fetching and not the memory.
type intake struct {
	stream  string
	filters []string
	place   *stream.Place
	room    chan struct{} // holds a token for each event that is held, or that a fetch may bring
	share   chan struct{} // how many of the slots it may take; nil for all
}

const (
	fetchWait  = time.Second            // an empty fetch ends after it: so a stop waits for it at most
	fetchPause = 250 * time.Millisecond // after a fetch that failed
	gather     = 5 * time.Millisecond   // how long a fetch waits to be worth its round trip

	// heldPerSlot is how many events are held for each that is handled: enough to have the next one at hand, and to
	// look past a lane that is busy.
	heldPerSlot = 16
)

// intakes are the events themselves, those whose time to be tried again has come, and those that are replayed, which
// may take a quarter of the slots: a replay does not hold up what happens now.
func (w *worker) intakes() []*intake {
	concurrency := w.settings.Concurrency
	quarter := max(1, concurrency/4)
	return []*intake{
		{stream: stream.Events, filters: w.team.filters(), room: make(chan struct{}, heldPerSlot*concurrency)},
		{stream: stream.Retry, filters: []string{event.RetryFilter(w.team.Name)}, room: make(chan struct{}, heldPerSlot*quarter)},
		{stream: stream.Replay, filters: []string{event.ReplayFilter(w.team.Name)}, room: make(chan struct{}, heldPerSlot*quarter), share: make(chan struct{}, quarter)},
	}
}

// ownRetries are those of a team that has a stream of its own for them. What it had put into the one that others share
// before comes from there.
func (w *worker) ownRetries() *intake {
	return &intake{stream: stream.RetryOf(w.team.Name), filters: []string{event.AgainFilter(w.team.Name)}, room: make(chan struct{}, heldPerSlot*max(1, w.settings.Concurrency/4))}
}

// take fetches as many events as there is room for, until ctx ends. Nothing is fetched ahead: what a process holds it
// keeps in progress, and the rest is free for other instances.
func (w *worker) take(ctx context.Context, in *intake) error {
	for ctx.Err() == nil {
		room := in.reserve(ctx)
		if room == 0 {
			break
		}
		failed := w.fetch(ctx, in, room)
		if failed != nil {
			w.log.Debug("fetch", "stream", in.stream, "error", failed)
			stream.Pause(ctx, fetchPause)
		}
		if err := in.place.Look(ctx, failed); err != nil {
			return stopped(ctx, err)
		}
	}
	return nil
}

// fetch takes at most as many events as there are tokens reserved, and gives back the tokens it did not need.
func (w *worker) fetch(ctx context.Context, in *intake, room int) error {
	defer func() { in.release(room) }()
	batch, err := in.place.Fetch(room, jetstream.FetchMaxWait(w.fetchWait))
	if err != nil {
		return err
	}
	var late []jetstream.Msg
	for msg := range batch.Messages() {
		if ctx.Err() != nil {
			late = append(late, msg)
		} else if w.accept(in, msg) {
			room--
		}
	}
	for _, msg := range late { // only now: while the fetch is open they would come straight back into it
		_ = msg.Nak()
	}
	return batch.Error()
}

// accept puts a message into its lane. One that is no event cannot be handled by anyone: it is no event's loss.
func (w *worker) accept(in *intake, msg jetstream.Msg) bool {
	h, err := newInFlight(in, msg)
	if err != nil {
		w.log.Error("skipping a message that is not an event", "subject", msg.Subject(), "error", err)
		_ = msg.TermWithReason(err.Error())
		return false
	}
	key := ""
	if w.team.Key != nil {
		key = w.keyOf(h.event)
	}
	w.lanes.add(key, h)
	return true
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

// reserve waits until there is room for an event, gathers what room there is, and takes it; 0 when ctx ended.
func (in *intake) reserve(ctx context.Context) (n int) {
	select {
	case in.room <- struct{}{}:
	case <-ctx.Done():
		return 0
	}
	n = 1 + in.reserveMore()
	if n < cap(in.room)/4 {
		stream.Pause(ctx, gather)
		n += in.reserveMore()
	}
	return n
}

func (in *intake) reserveMore() (n int) {
	for {
		select {
		case in.room <- struct{}{}:
			n++
		default:
			return n
		}
	}
}

func (in *intake) release(n int) {
	for range n {
		<-in.room
	}
}
