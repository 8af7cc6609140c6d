package trace

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/history"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/internal/team"
	"github.com/sluicehq/sluice/pkg/event"
)

// How much is looked at of a stream that may have copies of one event.
var (
	retryBound = stream.Bound{Messages: 2000, Bytes: 8 << 20} // where nothing says which they are
	copyBound  = stream.Bound{Messages: 500, Bytes: 4 << 20}
)

// One is [Find] for the event of a message in EVENTS, within bounds and without a consumer, for a page that is looked at.
// Where a stream holds more than is looked at, the life names it in Partly.
func One(ctx context.Context, js jetstream.JetStream, m *jetstream.RawStreamMsg) (*Life, error) {
	e, err := event.Parse(m.Subject, m.Header, m.Data)
	if err != nil {
		return nil, err
	}
	one := &Event{Sequence: m.Sequence, Name: e.Name, Identity: e.Identity, Received: e.Received, Stored: m.Time.UTC()}
	life := &Life{Delivery: e.Delivery, Events: []*Event{one}}
	told, more, err := history.Near(ctx, js, one.Sequence, one.Stored.Add(-clocks))
	if life.Untold = err; more {
		life.Partly = append(life.Partly, stream.History)
	}
	copies, err := life.copies(ctx, js, e, told)
	if err != nil {
		return nil, err
	}
	teams, err := team.All(ctx, js)
	if err != nil {
		return nil, err
	}
	one.judge(teams, copies, told)
	life.explain(ctx, js, teams)
	return life, nil
}

// copies are those of an event in the streams where there may be some.
func (l *Life) copies(ctx context.Context, js jetstream.JetStream, e *event.Event, told []history.Entry) (all []found, err error) {
	retries, err := stream.Retries(ctx, js)
	if err != nil {
		return nil, err
	}
	for _, name := range retries {
		if err := l.some(ctx, js, name, ">", 1, retryBound, &all); err != nil {
			return nil, err
		}
	}
	if err := l.some(ctx, js, stream.Replay, event.ReplaySubject("*", e.Source, e.Name), 1, copyBound, &all); err != nil {
		return nil, err
	}
	dead, err := js.Stream(ctx, stream.Dead)
	if err != nil {
		return nil, err
	}
	from, err := stream.SequenceAt(ctx, js, dead.CachedInfo(), l.died(told).Add(-clocks))
	if err != nil {
		return nil, err
	}
	return all, l.some(ctx, js, stream.Dead, event.DeadSubject("*", e.Source, e.Name), from, copyBound, &all)
}

// died is when the event may have died first: as its history says, or when it was stored.
func (l *Life) died(told []history.Entry) time.Time {
	for _, h := range told {
		if h.Outcome == history.Dead && l.Events[0].isAbout(&h) {
			return h.At
		}
	}
	return l.Events[0].Stored
}

func (l *Life) some(ctx context.Context, js jetstream.JetStream, name, subject string, from uint64, bound stream.Bound, all *[]found) error {
	more, err := stream.ScanSome(ctx, js, name, subject, from, bound, (&Search{Delivery: l.Delivery}).copied(name, all))
	if more {
		l.Partly = append(l.Partly, name)
	}
	return err
}
