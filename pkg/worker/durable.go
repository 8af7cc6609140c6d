package worker

import (
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/stream"
)

// place is the team's durable consumer on the stream of an intake, not taken yet.
func (w *worker) place(in *intake) *stream.Place {
	p := &stream.Place{Conn: w.nc, JS: w.js, Stream: in.stream, Log: w.log, Want: stream.Consumer(w.team.Name, in.filters)}
	p.Want.AckWait = w.ackWait
	if in == w.live() {
		w.settings.Start.Apply(&p.Want)
	}
	p.Compatible = w.compatible
	return p
}

// compatible refuses a durable that cannot be the team's.
func (w *worker) compatible(have jetstream.ConsumerConfig) error {
	if have.AckPolicy != jetstream.AckExplicitPolicy || have.DeliverSubject != "" {
		return fmt.Errorf("it exists and is not Sluice's: give the team another name, or remove it (sluicectl teams remove %s)", w.team.Name)
	}
	return nil
}
