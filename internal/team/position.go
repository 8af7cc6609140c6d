package team

import (
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Position is how far a team is with an event, by its durable.
type Position int

// The positions of an event.
const (
	Waiting  Position = iota // not delivered yet
	InFlight                 // delivered: not acknowledged, or acknowledged out of order
	Settled                  // acknowledged
	Before                   // stored before the team began
)

// Position returns how far the team is with an event, by its sequence in EVENTS and the time it was stored. The event
// must be one that the team takes.
func (t *Team) Position(sequence uint64, stored time.Time) Position {
	switch {
	case t.before(sequence, stored):
		return Before
	case sequence <= t.info.AckFloor.Stream:
		return Settled
	case sequence > t.info.Delivered.Stream:
		return Waiting
	}
	return InFlight
}

func (t *Team) before(sequence uint64, stored time.Time) bool {
	switch c := t.info.Config; c.DeliverPolicy {
	case jetstream.DeliverByStartSequencePolicy:
		return sequence < c.OptStartSeq
	case jetstream.DeliverByStartTimePolicy:
		return c.OptStartTime != nil && stored.Before(*c.OptStartTime)
	case jetstream.DeliverNewPolicy:
		return stored.Before(t.info.Created)
	}
	return false
}
