package trace

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

// successor looks for what is stored under the sequence of an event that is known by a copy alone. Another event there,
// or none yet, means that EVENTS was removed and created anew, and counts from 1 again.
func (e *Event) successor(ctx context.Context, js jetstream.JetStream) error {
	if e.Sequence == 0 {
		return nil
	}
	events, err := js.Stream(ctx, stream.Events)
	if err != nil {
		return err
	}
	if e.Former = e.Sequence > events.CachedInfo().State.LastSeq; e.Former {
		return nil
	}
	where := stream.Range{From: e.Sequence, To: e.Sequence, HeadersOnly: true}
	return stream.Read(ctx, js, stream.Events, where, func(m *jetstream.RawStreamMsg) error {
		other, err := event.Parse(m.Subject, m.Header, nil)
		if e.Former = err != nil || other.Identity != e.Identity; e.Former {
			e.succeeded = m.Time
		}
		return nil
	})
}

// ended reports whether another event had the sequence at that time already.
func (e *Event) ended(at time.Time) bool { return !e.succeeded.IsZero() && !at.Before(e.succeeded) }
