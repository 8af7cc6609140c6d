package worker

import (
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/stream"
)

const (
	// ackWait is how long the server waits for an acknowledgement of an event that it delivered; those in flight report every third
	// of it that they are in progress, so it is how soon the events of a process that was killed go to another.
	ackWait = 15 * time.Second

	// maxAckPending bounds the events that all instances hold together. At the bound nothing new is given out: so it is
	// high, and what a process holds is bounded by its intakes.
	maxAckPending = 20_000
)

// place is the team's durable consumer on the stream of an intake, not taken yet.
func (w *worker) place(in *intake) *stream.Place {
	p := &stream.Place{Conn: w.nc, JS: w.js, Stream: in.stream, Log: w.log, Want: jetstream.ConsumerConfig{
		Durable: w.team.Name, Description: "Sluice: team " + w.team.Name, FilterSubjects: in.filters,
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: w.ackWait, MaxAckPending: maxAckPending,
		MaxDeliver: -1, // past a limit there is only silence: attempts are counted here
	}}
	if in == w.live() {
		w.settings.Start.Apply(&p.Want)
	}
	p.Compatible = func(have jetstream.ConsumerConfig) error { return w.compatible(have, in) }
	return p
}

// compatible refuses a durable that cannot be the team's, and says what becomes of one that took other events.
func (w *worker) compatible(have jetstream.ConsumerConfig, in *intake) error {
	if have.AckPolicy != jetstream.AckExplicitPolicy || have.DeliverSubject != "" {
		return fmt.Errorf("it exists and is not Sluice's: give the team another name, or remove it (sluicectl teams remove %s)", w.team.Name)
	}
	filters := have.FilterSubjects
	if have.FilterSubject != "" {
		filters = []string{have.FilterSubject}
	}
	if slices.Sort(filters); !slices.Equal(filters, slices.Sorted(slices.Values(in.filters))) {
		w.log.Warn("the team's events have changed: new ones apply from now on, not to events before", "stream", in.stream, "before", filters, "now", in.filters,
			"remedy", "if two programs use this team's name, give one of them another; to process earlier events, use sluicectl replay")
	}
	return nil
}
