// Package seen remembers for 24 hours which deliveries are stored: in Redis, or without Redis in this process's memory.
//
// A delivery is marked as seen only after the stream has acknowledged it. A missing mark costs one more publish, which
// the stream's duplicate window deduplicates. A wrong mark would lose an event. So in doubt the answer is "not seen".
package seen

import (
	"errors"
	"time"
)

// TTL is how long a delivery is remembered after it was stored; the sender's last attempt comes 35 minutes after its
// first, and its contract says 24 hours.
const TTL = 24 * time.Hour

// Mark says that a delivery is stored.
type Mark struct {
	Identity string // see event.Identity
	Sequence uint64 // its place in the stream EVENTS
	Stored   time.Time
}

// left is how much longer a mark is worth keeping, in whole seconds; none is kept for less than one.
func (m *Mark) left(now time.Time) time.Duration {
	return (TTL - now.Sub(m.Stored)).Truncate(time.Second)
}

// ErrAway means that Redis did not answer a moment ago: the circuit breaker is open, and Redis was not asked.
var ErrAway = errors.New("redis is away")
