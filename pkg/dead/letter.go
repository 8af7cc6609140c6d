// Package dead is for the dead letters in the stream DEAD: events that a team gave up on, with the reason.
package dead

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/stream"
)

// Letter is an event that a team gave up on.
type Letter struct {
	Sequence uint64 // in DEAD
	Team     string
	Reason   string    // see event.HeaderReason
	Error    string    // the last one
	Failed   time.Time // when it was given up
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

// Drop removes one for good. One that is gone already is no error.
func Drop(ctx context.Context, js jetstream.JetStream, l *Letter) error {
	return stream.Delete(ctx, js, stream.Dead, l.Sequence)
}
