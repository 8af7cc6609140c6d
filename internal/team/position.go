package team

import (
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Position is where an event is, as the team's durable tells it.
type Position int

// The positions of an event.
const (
	Waiting  Position = iota // not given out yet
	InFlight                 // among those that are given out: not settled, or settled out of order
	Settled                  // acknowledged
	Before                   // stored before the team began
)

// Position tells where an event is by its sequence in EVENTS and when it was stored. The event is taken for one that
// the team takes.
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
