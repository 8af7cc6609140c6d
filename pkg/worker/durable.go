package worker

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/pkg/mask"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

const (
	// ackWait is how long the server waits for a word about an event that it gave out; held events say every third
	// of it that they are in progress, so it is how soon the events of a process that was killed go to another.
	ackWait = 15 * time.Second

	// maxAckPending bounds the events that all instances hold together. At the bound nothing new is given out: so it is
	// high, and what a process holds is bounded by its intakes.
	maxAckPending = 20_000

	declareWithin = 5 * time.Second
)

// declare waits for a stream and creates or updates the team's durable consumer on it.
func (w *worker) declare(ctx context.Context, in *intake) error {
	err := stream.WaitFor(ctx, w.log, "the stream "+in.stream+", which the gateway makes", func() (err error) {
		bounded, cancel := context.WithTimeout(ctx, declareWithin)
		defer cancel()
		in.durable, err = w.createOrUpdate(bounded, in)
		return err
	})
	if err != nil {
		return fmt.Errorf("the consumer %s of the stream %s: %w", w.team.Name, in.stream, err)
	}
	return nil
}

func (w *worker) createOrUpdate(ctx context.Context, in *intake) (jetstream.Consumer, error) {
	want := jetstream.ConsumerConfig{
		Durable: w.team.Name, Description: "Sluice: team " + w.team.Name, FilterSubjects: in.filters,
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: w.ackWait, MaxAckPending: maxAckPending,
		MaxDeliver: -1, // past a limit there is only silence: attempts are counted here
	}
	if in == w.live() {
		w.settings.Start.Apply(&want)
	}
	return stream.Durable(ctx, w.js, in.stream, want, func(have jetstream.ConsumerConfig) error { return w.compatible(have, in) })
}

// compatible refuses a durable that cannot be the team's, and says what becomes of one that took other events.
func (w *worker) compatible(have jetstream.ConsumerConfig, in *intake) error {
	if have.AckPolicy != jetstream.AckExplicitPolicy || have.DeliverSubject != "" {
		return fmt.Errorf("it is there already and is not Sluice's: give the team another name, or remove it (nats consumer rm %s %s)", in.stream, w.team.Name)
	}
	filters := have.FilterSubjects
	if have.FilterSubject != "" {
		filters = []string{have.FilterSubject}
	}
	if slices.Sort(filters); !slices.Equal(filters, slices.Sorted(slices.Values(in.filters))) {
		w.log.Warn("the team takes other events than before: from here on, and not those that have passed", "stream", in.stream, "before", filters, "now", in.filters,
			"remedy", "if two programs use this team's name, give one of them another; to take what has passed, use sluicectl replay")
	}
	return nil
}

func (w *worker) natsHealth() telemetry.Health { return NATSHealth(w.nc, w.settings.NATSURL) }

// NATSHealth is the health of a consumer's connection to NATS at a URL.
func NATSHealth(nc *nats.Conn, url string) telemetry.Health {
	if nc.IsConnected() {
		return telemetry.Health{Status: telemetry.OK}
	}
	return telemetry.Health{Status: telemetry.Down, Detail: "not connected",
		Remedy: "nothing is lost: events wait in the stream; start NATS at " + mask.Address(url)}
}
