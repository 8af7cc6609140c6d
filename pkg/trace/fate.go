package trace

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/team"
)

// Headers of a message that waits for its time, as nats-server knows them.
const (
	headerSchedule = "Nats-Schedule"        // "@at " and the time
	headerTarget   = "Nats-Schedule-Target" // the subject on which it appears then
)

// waiting collects copies from a work queue.
func (s *Search) waiting(ctx context.Context, js jetstream.JetStream, name string, all *[]found) error {
	return stream.Scan(ctx, js, name, strings.ToLower(name)+".>", func(m *jetstream.RawStreamMsg) error {
		subject := m.Subject
		if target := m.Header.Get(headerTarget); target != "" {
			subject = target
		}
		e, err := event.Parse(subject, m.Header, nil)
		if err != nil || e.Delivery != s.Delivery {
			return err
		}
		c := newCopy(name, m.Sequence, e)
		if at, err := time.Parse(time.RFC3339Nano, strings.TrimPrefix(m.Header.Get(headerSchedule), "@at ")); err == nil {
			c.Next = &at
		}
		*all = append(*all, found{c, strings.Split(m.Subject, ".")[1], e})
		return nil
	})
}

// adopt adds the events that are found through a copy alone.
func (l *Life) adopt(copies []found) {
	for _, c := range copies {
		known := slices.ContainsFunc(l.Events, func(e *Event) bool { return e.Identity == c.event.Identity })
		if !known {
			l.Events = append(l.Events, &Event{Sequence: c.event.Sequence, Name: c.event.Name, Identity: c.event.Identity, Received: c.event.Received, Stored: c.event.Received, Unseen: true})
		}
	}
}

// judge says what became of the event in each team that takes it, or that has a copy of it.
func (e *Event) judge(teams []*team.Team, copies []found) {
	for _, t := range teams {
		fate := &Fate{Team: t.Name}
		for _, c := range copies {
			if c.team == t.Name && c.event.Identity == e.Identity {
				fate.Copies = append(fate.Copies, c.Copy)
			}
		}
		if !t.Takes(e.Name) && len(fate.Copies) == 0 {
			continue
		}
		fate.State = e.state(t, fate.Copies)
		e.Teams = append(e.Teams, fate)
	}
}

func (e *Event) state(t *team.Team, copies []*Copy) State {
	for _, c := range copies {
		switch { // copies of replays say nothing about the event itself
		case c.Replay == "" && c.Stream == stream.Dead:
			return Dead
		case c.Replay == "" && (c.Stream == stream.Retry || c.Stream == stream.Replay):
			return Retrying
		}
	}
	return map[team.Position]State{
		team.Waiting: Waiting, team.InFlight: InFlight, team.Settled: Settled, team.Before: Before,
	}[t.Position(e.Sequence, e.Stored)]
}
