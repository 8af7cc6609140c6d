// Package trace finds the whole life of a delivery: when it was stored, and what became of it in each team.
package trace

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/ops/dead"
	"github.com/sluicehq/sluice/internal/ops/quarantine"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/internal/team"
	"github.com/sluicehq/sluice/pkg/event"
)

// Life is everything that is known about a delivery id. One id may have several bodies: each is an event of its own.
type Life struct {
	Delivery   string   `json:"delivery"`
	Remembered string   `json:"remembered,omitempty"` // what Redis says, where it was asked
	Events     []*Event `json:"events"`
	Quarantine []*Aside `json:"quarantine,omitempty"`

	Replayed map[string]string `json:"replayed,omitempty"` // who started the replays that are named below, by their ids

	Untold error    `json:"-"` // why there is no history
	Partly []string `json:"-"` // streams of which not everything was looked at
}

// Event is one event of the delivery id, as it is stored in EVENTS.
type Event struct {
	Sequence uint64    `json:"sequence"` // in EVENTS
	Name     string    `json:"event"`
	Identity string    `json:"identity"`
	Received time.Time `json:"received"`
	Stored   time.Time `json:"stored"`
	Unseen   bool      `json:"unseen,omitempty"` // known by a copy alone: stored before the search begins, or dropped by retention
	Former   bool      `json:"former,omitempty"` // was in a stream EVENTS that was removed and created anew since
	Teams    []*Fate   `json:"teams"`

	succeeded time.Time // when another event got the sequence
}

// Aside is an entry in quarantine.
type Aside struct {
	Sequence uint64    `json:"sequence"` // in QUARANTINE
	Reason   string    `json:"reason"`
	Received time.Time `json:"received"`
}

// Search says where to look.
type Search struct {
	Delivery string
	Since    time.Time // events stored before are not looked at
	Sequence uint64    // where the event is, if that is known; 0 searches
}

// Find collects a delivery's life. Without a sequence it reads the headers of every event since, 100,000 a second.
func Find(ctx context.Context, js jetstream.JetStream, s Search) (*Life, error) {
	life := &Life{Delivery: s.Delivery, Events: []*Event{}}
	if err := s.events(ctx, js, life); err != nil {
		return nil, err
	}
	if err := s.quarantine(ctx, js, life); err != nil {
		return nil, err
	}
	copies, err := s.copies(ctx, js)
	if err != nil {
		return nil, err
	}
	teams, err := team.All(ctx, js)
	if err != nil {
		return nil, err
	}
	life.adopt(copies)
	for _, e := range life.Events {
		if e.Unseen {
			if err := e.successor(ctx, js); err != nil {
				return nil, err
			}
		}
		told, err := e.history(ctx, js)
		if err != nil {
			life.Untold = err
		}
		e.judge(teams, copies, told)
	}
	life.explain(ctx, js, teams)
	return life, nil
}

// explain adds what is only a help. Where it cannot be found, less is told.
func (l *Life) explain(ctx context.Context, js jetstream.JetStream, teams []*team.Team) {
	if conditions, err := team.Conditions(ctx, js, teams); err == nil {
		for _, e := range l.Events {
			e.tellWaits(conditions)
		}
	}
	l.nameReplays(ctx, js)
}

func (s *Search) events(ctx context.Context, js jetstream.JetStream, life *Life) error {
	where := stream.Range{Since: s.Since, HeadersOnly: true}
	if s.Sequence > 0 {
		where = stream.Range{From: s.Sequence, To: s.Sequence, HeadersOnly: true}
	}
	return stream.Read(ctx, js, stream.Events, where, func(m *jetstream.RawStreamMsg) error {
		e, err := event.Parse(m.Subject, m.Header, nil)
		if err == nil && e.Delivery == s.Delivery { // what is no event is nobody's
			life.Events = append(life.Events, &Event{Sequence: m.Sequence, Name: e.Name, Identity: e.Identity, Received: e.Received, Stored: m.Time.UTC()})
		}
		return nil
	})
}

func (s *Search) quarantine(ctx context.Context, js jetstream.JetStream, life *Life) error {
	return quarantine.Headers(ctx, js, quarantine.Selection{Delivery: s.Delivery}, func(e *quarantine.Entry) error {
		life.Quarantine = append(life.Quarantine, &Aside{Sequence: e.Sequence, Reason: e.Reason, Received: e.Received})
		return nil
	})
}

// found is a copy and whose it is.
type found struct {
	*Copy
	team  string
	event *event.Event
}

func (s *Search) copies(ctx context.Context, js jetstream.JetStream) (all []found, err error) {
	names, err := stream.Retries(ctx, js)
	if err != nil {
		return nil, err
	}
	for _, name := range append(names, stream.Replay) {
		if err := s.waiting(ctx, js, name, &all); err != nil {
			return nil, err
		}
	}
	err = dead.Headers(ctx, js, dead.Selection{Delivery: s.Delivery}, func(l *dead.Letter) error {
		c := newCopy(stream.Dead, l.Sequence, l.Event)
		c.Reason = l.Reason
		all = append(all, found{c, l.Team, l.Event})
		return nil
	})
	return all, err
}

func newCopy(where string, sequence uint64, e *event.Event) *Copy {
	return &Copy{Stream: where, Sequence: sequence, Replay: e.Replay, Redriven: event.Redriven(e.Header),
		Attempts: e.Attempt, Failures: e.Failures, History: event.History(e.Header)}
}
