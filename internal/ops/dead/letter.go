// Package dead lists, redrives and drops dead letters: events in the stream DEAD that a team gave up on, with the
// reason.
package dead

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/history"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

// Letter is an event that a team gave up on.
type Letter struct {
	Sequence uint64 // in DEAD
	Team     string
	Reason   string    // see event.HeaderReason
	Error    string    // the last one
	Failed   time.Time // when it was dead-lettered
	*event.Event
}

// ErrNotFound says that there is no such dead letter, or not any more.
var ErrNotFound = errors.New("no such dead letter")

// parse makes a Letter of a stored message.
func parse(m *jetstream.RawStreamMsg) (*Letter, error) {
	e, err := event.Parse(m.Subject, m.Header, m.Data)
	if err != nil {
		return nil, fmt.Errorf("%s #%d: %w", stream.Dead, m.Sequence, err)
	}
	l := &Letter{Sequence: m.Sequence, Team: strings.Split(m.Subject, ".")[1], Event: e,
		Reason: m.Header.Get(event.HeaderReason), Error: m.Header.Get(event.HeaderError), Failed: m.Time.UTC()}
	if at, err := time.Parse(time.RFC3339Nano, m.Header.Get(event.HeaderFailed)); err == nil {
		l.Failed = at
	}
	return l, nil
}

// Get returns one by its sequence in DEAD, or [ErrNotFound].
func Get(ctx context.Context, js jetstream.JetStream, sequence uint64) (*Letter, error) {
	m, err := stream.Get(ctx, js, stream.Dead, sequence)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, fmt.Errorf("%w: #%d", ErrNotFound, sequence)
	}
	if err != nil {
		return nil, err
	}
	return parse(m)
}

// Drop removes one for good; by says who does it. Gone reports that somebody else had removed it, or sent it back.
func Drop(ctx context.Context, js jetstream.JetStream, l *Letter, by string) (gone bool, untold, err error) {
	untold = l.tell(ctx, js, history.Dropped, time.Now(), by)
	gone, err = stream.Remove(ctx, js, stream.Dead, l.Sequence)
	return gone, untold, err
}

// tell keeps in the event's history what is done to a letter, before it is gone. Where that cannot be kept it is done
// all the same.
func (l *Letter) tell(ctx context.Context, js jetstream.JetStream, outcome history.Outcome, at time.Time, by string) (untold error) {
	return history.Write(ctx, js, history.Entry{Team: l.Team, Sequence: l.Event.Sequence, Identity: l.Identity, At: at.UTC(),
		Outcome: outcome, Letter: l.Sequence, Replay: l.Replay, By: by})
}
