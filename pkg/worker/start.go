package worker

import (
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Start is where in the stream a new team starts: its beginning, now, or a time.
type Start struct {
	now bool
	at  time.Time
}

// UnmarshalText reads "beginning", "now" or an RFC 3339 time.
func (s *Start) UnmarshalText(text []byte) error {
	switch string(text) {
	case "beginning":
		*s = Start{}
	case "now":
		*s = Start{now: true}
	default:
		at, err := time.Parse(time.RFC3339, string(text))
		if err != nil {
			return fmt.Errorf("%q is not a place to start: use beginning, now, or a time such as 2026-01-31T08:00:00Z", text)
		}
		*s = Start{at: at}
	}
	return nil
}

// String writes it as it is read.
func (s Start) String() string {
	switch {
	case s.now:
		return "now"
	case s.at.IsZero():
		return "beginning"
	}
	return s.at.Format(time.RFC3339)
}

// Apply makes a new durable start there.
func (s Start) Apply(c *jetstream.ConsumerConfig) {
	switch {
	case s.now:
		c.DeliverPolicy = jetstream.DeliverNewPolicy
	case s.at.IsZero():
		c.DeliverPolicy = jetstream.DeliverAllPolicy
	default:
		c.DeliverPolicy, c.OptStartTime = jetstream.DeliverByStartTimePolicy, &s.at
	}
}
