package replay

import (
	"context"
	"errors"
	"math/bits"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/history"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

// Told is which events a team has processed as its history tells it, a bit for each sequence. Where the history does not
// reach back, events count as not processed.
type Told struct {
	first uint64
	bits  []uint64
}

// ToldBy reads the history of a team about the events between two sequences of EVENTS.
func ToldBy(ctx context.Context, js jetstream.JetStream, team string, first, last uint64) (*Told, error) {
	t := &Told{first: first, bits: make([]uint64, (last-first)/64+1)}
	var since time.Time // all of it, about what the stream has dropped
	switch m, err := stream.Get(ctx, js, stream.Events, first); {
	case err == nil:
		since = m.Time
	case !errors.Is(err, jetstream.ErrMsgNotFound):
		return nil, err
	}
	return t, history.Team(ctx, js, team, since, func(e history.Entry) {
		if done := e.Outcome == history.Processed || e.Outcome == history.Skipped; done && e.Sequence >= first && e.Sequence <= last {
			t.bits[(e.Sequence-first)/64] |= 1 << ((e.Sequence - first) % 64)
		}
	})
}

// Count is how many.
func (t *Told) Count() (n int) {
	for _, word := range t.bits {
		n += bits.OnesCount64(word)
	}
	return n
}

// Missing is a [Missing].
func (t *Told) Missing(_ context.Context, events []*event.Event) (left []*event.Event, err error) {
	for _, e := range events {
		if at := e.Sequence - t.first; e.Sequence < t.first || at/64 >= uint64(len(t.bits)) || t.bits[at/64]&(1<<(at%64)) == 0 {
			left = append(left, e)
		}
	}
	return left, nil
}
