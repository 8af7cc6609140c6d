package trace

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/history"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/internal/team"
	"github.com/sluicehq/sluice/pkg/event"
)

// Fate is what became of an event in a team.
type Fate struct {
	Team    string          `json:"team"`
	State   State           `json:"state"`
	History []history.Entry `json:"history,omitempty"` // what is over, the oldest first
	Copies  []*Copy         `json:"copies,omitempty"`  // that are somewhere now

	Waits *team.Condition `json:"waits,omitempty"` // why the team does not go on with it, where it does not
}

// State is where the event itself is with a team; replays of it change nothing about that.
type State string

// The states of an event.
const (
	Waiting      State = "waiting"      // not delivered yet
	InFlight     State = "in flight"    // delivered and not acknowledged, as far as the durable's position shows
	Retrying     State = "retrying"     // failed, and waits for a retry
	Dead         State = "dead"         // dead-lettered
	Dropped      State = "dropped"      // dead-lettered, and removed by an operator
	Redriven     State = "redriven"     // dead-lettered, and on its way once more
	Processed    State = "processed"    // the team said so
	Skipped      State = "skipped"      // the team had no use for it
	Acknowledged State = "acknowledged" // the team is through with it; how is not known
	Before       State = "before it"    // older than the team's beginning
)

// Done is when the team was done with the event itself, or nil.
func (f *Fate) Done() *history.Entry {
	for _, e := range slices.Backward(f.History) {
		if e.Replay == "" {
			return &e
		}
	}
	return nil
}

// Copy is a copy of the event for a team.
type Copy struct {
	Stream   string          `json:"stream"`
	Sequence uint64          `json:"sequence"`
	Replay   string          `json:"replay,omitempty"`
	Redriven []uint64        `json:"redriven,omitempty"` // the sequences in DEAD that it had before
	Reason   string          `json:"reason,omitempty"`   // why it is dead
	Next     *time.Time      `json:"next,omitempty"`     // when it is tried again
	Attempts int             `json:"attempts"`
	Failures []event.Failure `json:"failures,omitempty"`
	History  []event.Failure `json:"history,omitempty"` // what failed before it was redriven
}

// open reports whether the team has something left to do.
func (f *Fate) open() bool {
	return f.State == Waiting || f.State == InFlight || f.State == Retrying || f.State == Redriven ||
		slices.ContainsFunc(f.Copies, func(c *Copy) bool { return c.Stream != stream.Dead })
}

// tellWaits says of what is still open whether its team goes on at all.
func (e *Event) tellWaits(conditions map[string]team.Condition) {
	for _, f := range e.Teams {
		switch c := conditions[f.Team]; c.State {
		case team.Blocked, team.Hung, team.Paused, team.NoProcess:
			if f.open() {
				f.Waits = &c
			}
		}
	}
}

// judge says what became of the event in each team that takes it, has a copy of it, or has done something with it.
func (e *Event) judge(teams []*team.Team, copies []found, told []history.Entry) {
	known := map[string]bool{}
	for _, t := range teams {
		known[t.Name] = true
		fate := e.fate(t.Name, copies, told)
		if (e.Former || !t.Takes(e.Name)) && len(fate.Copies) == 0 && len(fate.History) == 0 {
			continue
		}
		fate.State = cmp.Or(fate.own(), e.position(t))
		e.Teams = append(e.Teams, fate)
	}
	for _, name := range gone(copies, told, known) {
		if fate := e.fate(name, copies, told); len(fate.Copies) > 0 || len(fate.History) > 0 {
			fate.State = cmp.Or(fate.own(), Acknowledged)
			e.Teams = append(e.Teams, fate)
		}
	}
}

// gone are the names of teams that are not there any more.
func gone(copies []found, told []history.Entry, known map[string]bool) (names []string) {
	for _, c := range copies {
		names = append(names, c.team)
	}
	for _, h := range told {
		names = append(names, h.Team)
	}
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(name string) bool { return known[name] })
}

func (e *Event) fate(name string, copies []found, told []history.Entry) *Fate {
	fate := &Fate{Team: name}
	for _, c := range copies {
		if c.team == name && e.is(c.event) {
			fate.Copies = append(fate.Copies, c.Copy)
		}
	}
	for _, h := range told {
		if h.Team == name && e.isAbout(&h) {
			fate.History = append(fate.History, h)
		}
	}
	return fate
}

// clocks may differ by as much between the servers of a cluster.
const clocks = 10 * time.Second

// isAbout tells the history of this event from that of others that had its sequence before EVENTS was created anew, or
// have it since.
func (e *Event) isAbout(h *history.Entry) bool {
	if h.Sequence != e.Sequence || h.At.Before(e.Stored.Add(-clocks)) {
		return false
	}
	return h.Identity == e.Identity || h.Identity == "" && !e.ended(h.At)
}

// own is the state as copies and history tell it, or empty.
func (f *Fate) own() State {
	for _, c := range f.Copies {
		switch { // copies of replays say nothing about the event itself
		case c.Replay == "" && c.Stream == stream.Dead:
			return Dead
		case c.Replay == "": // RETRY, the team's own stream of retries, or REPLAY
			return Retrying
		}
	}
	done := f.Done()
	if done == nil {
		return ""
	}
	return map[history.Outcome]State{
		history.Processed: Processed, history.Skipped: Skipped, history.Dead: Dead, history.Redriven: Redriven, history.Dropped: Dropped,
	}[done.Outcome]
}

// position is the state as the team's place in EVENTS tells it, which knows the events that are there now.
func (e *Event) position(t *team.Team) State {
	if e.Former {
		return Acknowledged
	}
	return map[team.Position]State{
		team.Waiting: Waiting, team.InFlight: InFlight, team.Settled: Acknowledged, team.Before: Before,
	}[t.Position(e.Sequence, e.Stored)]
}

// history is what teams told about an event.
func (e *Event) history(ctx context.Context, js jetstream.JetStream) ([]history.Entry, error) {
	if e.Sequence == 0 {
		return nil, nil
	}
	return history.Of(ctx, js, e.Sequence)
}

// Headers of a message that waits for its time, as nats-server knows them.
const (
	headerSchedule = "Nats-Schedule"        // "@at " and the time
	headerTarget   = "Nats-Schedule-Target" // the subject on which it appears then
)

// waiting collects copies from a work queue. What is no copy of an event is skipped.
func (s *Search) waiting(ctx context.Context, js jetstream.JetStream, name string, all *[]found) error {
	return stream.Scan(ctx, js, name, ">", s.copied(name, all))
}

// copied takes a message for a copy of the event, if it is one.
func (s *Search) copied(name string, all *[]found) func(*jetstream.RawStreamMsg) error {
	return func(m *jetstream.RawStreamMsg) error {
		subject := m.Subject
		if target := m.Header.Get(headerTarget); target != "" {
			subject = target
		}
		e, err := event.Parse(subject, m.Header, nil)
		if err != nil || e.Delivery != s.Delivery {
			return nil
		}
		c := newCopy(name, m.Sequence, e)
		if at, err := time.Parse(time.RFC3339Nano, strings.TrimPrefix(m.Header.Get(headerSchedule), "@at ")); err == nil {
			c.Next = &at
		}
		if name == stream.Dead {
			c.Reason = m.Header.Get(event.HeaderReason)
		}
		*all = append(*all, found{c, strings.Split(m.Subject, ".")[1], e})
		return nil
	}
}

// adopt adds the events that are found through a copy alone.
func (l *Life) adopt(copies []found) {
	for _, c := range copies {
		known := slices.ContainsFunc(l.Events, func(e *Event) bool { return e.is(c.event) })
		if !known {
			l.Events = append(l.Events, &Event{Sequence: c.event.Sequence, Name: c.event.Name, Identity: c.event.Identity, Received: c.event.Received, Stored: c.event.Received, Unseen: true})
		}
	}
}

// is tells whether a copy is of the event. The sequence tells events apart that have no identity, or were stored twice.
func (e *Event) is(copied *event.Event) bool {
	if copied.Sequence == 0 {
		return copied.Identity != "" && copied.Identity == e.Identity
	}
	return copied.Sequence == e.Sequence && copied.Identity == e.Identity
}
