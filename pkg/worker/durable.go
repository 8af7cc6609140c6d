package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

const (
	// ackWait is how long the server waits for a word about an event that it gave out; held events say every third
	// of it that they are in progress, so it is how soon the events of a process that was killed go to another.
	ackWait = 30 * time.Second

	// maxAckPending bounds the events that are given out or wait to be tried again. 50,000 waiting ones cost the server
	// 40 MB, and at the bound nothing new is given out: so it is high, and what a process holds is bounded by its lanes.
	maxAckPending = 20_000

	startPause    = time.Second // between two attempts to find NATS and the stream
	declareWithin = 5 * time.Second
)

// connect waits until NATS can be reached. Settings that will not become right by themselves are an error.
func (w *worker) connect(ctx context.Context) (nc *nats.Conn, err error) {
	options := stream.Options{URL: w.settings.NATSURL, Creds: w.settings.NATSCreds, Name: "sluice " + w.team.Name,
		InboxPrefix: "_INBOX_" + w.team.Name, Log: w.log}
	err = w.waitFor(ctx, "NATS", func() error {
		nc, err = stream.Connect(ctx, options)
		return err
	}, stream.ErrUnreachable)
	return nc, err
}

// declare waits for the stream and creates or updates the durable consumer of the team.
func (w *worker) declare(ctx context.Context) (durable jetstream.Consumer, err error) {
	err = w.waitFor(ctx, "the stream "+stream.Events+", which the gateway makes", func() error {
		bounded, cancel := context.WithTimeout(ctx, declareWithin)
		defer cancel()
		durable, err = w.createOrUpdate(bounded)
		return err
	}, jetstream.ErrStreamNotFound, jetstream.ErrJetStreamNotEnabled, nats.ErrNoResponders, context.DeadlineExceeded, nats.ErrTimeout)
	if err != nil {
		return nil, fmt.Errorf("the consumer %s of the stream %s: %w", w.team.Name, stream.Events, err)
	}
	return durable, nil
}

func (w *worker) createOrUpdate(ctx context.Context) (jetstream.Consumer, error) {
	want := jetstream.ConsumerConfig{
		Durable: w.team.Name, Description: "Sluice: team " + w.team.Name, FilterSubjects: w.team.filters(),
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: w.ackWait, MaxAckPending: maxAckPending,
		MaxDeliver: -1, // past a limit there is only silence: attempts are counted here
	}
	found, err := w.js.Consumer(ctx, stream.Events, w.team.Name)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound):
		w.settings.Start.apply(&want)
	case err != nil:
		return nil, err
	default: // where it started cannot be changed, and must not: it goes on where it was
		have := found.CachedInfo().Config
		if have.AckPolicy != want.AckPolicy || have.DeliverSubject != "" {
			return nil, errors.New("it is there already and is not Sluice's: give the team another name, or remove it (nats consumer rm)")
		}
		want.DeliverPolicy, want.OptStartTime, want.OptStartSeq = have.DeliverPolicy, have.OptStartTime, have.OptStartSeq
	}
	return w.js.CreateOrUpdateConsumer(ctx, stream.Events, want)
}

// waitFor repeats try while it fails for one of the reasons that pass, and says once what it waits for.
func (w *worker) waitFor(ctx context.Context, what string, try func() error, passing ...error) error {
	for said := false; ; said = true {
		err := try()
		if err == nil || !isAny(err, passing) {
			return err
		}
		if !said {
			w.log.Info("waiting for "+what, "error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(startPause):
		}
	}
}

func isAny(err error, those []error) bool {
	for _, one := range those {
		if errors.Is(err, one) {
			return true
		}
	}
	return false
}

func (w *worker) natsHealth() telemetry.Health {
	if w.nc.IsConnected() {
		return telemetry.Health{Status: telemetry.OK}
	}
	return telemetry.Health{Status: telemetry.Down, Detail: "not connected",
		Remedy: "nothing is lost: events wait in the stream; start NATS at " + stream.Redacted(w.settings.NATSURL)}
}
