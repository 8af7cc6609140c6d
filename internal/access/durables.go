package access

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

// Settle makes the durable consumers that a team lacks, and sets which events those take that are there. A new one
// begins where start says, which may be nil for the oldest event kept. Where one is, it goes on.
func (t Team) Settle(ctx context.Context, js jetstream.JetStream, start func(*jetstream.ConsumerConfig)) error {
	for _, p := range t.Places {
		if !p.Pinned {
			if err := stream.MakeRetry(ctx, js, p.Durable); err != nil {
				return err
			}
		}
		for _, d := range p.durables() {
			if d.stream == stream.Events && start != nil {
				start(&d.want)
			}
			if err := d.make(ctx, js); err != nil {
				return fmt.Errorf("the consumer %s of the stream %s: %w", p.Durable, d.stream, err)
			}
		}
	}
	return nil
}

type durable struct {
	stream string
	want   jetstream.ConsumerConfig
}

// make makes the durable where it is not there. That of the events gets a mark.
func (d durable) make(ctx context.Context, js jetstream.JetStream) error {
	made, err := stream.Durable(ctx, js, d.stream, d.want, isOurs)
	if err != nil || d.stream != stream.Events {
		return err
	}
	is := made.CachedInfo().Config
	if is.Metadata[stream.Mark] != "" {
		return nil
	}
	is.Metadata = maps.Clone(is.Metadata)
	if is.Metadata == nil {
		is.Metadata = map[string]string{}
	}
	is.Metadata[stream.Mark] = rand.Text()
	_, err = js.UpdateConsumer(ctx, d.stream, is)
	return err
}

// durables are the consumers of a place. That of the events comes last: a worker that finds it finds the others. One that
// is pinned retries and replays nothing.
func (p Place) durables() []durable {
	if p.Pinned {
		return []durable{{stream.Events, stream.Pinned(p.Durable)}}
	}
	var events []string
	for _, pattern := range p.Events {
		events = append(events, event.Filter(pattern))
	}
	return []durable{
		{stream.RetryOf(p.Durable), stream.Consumer(p.Durable, []string{event.AgainFilter(p.Durable)})},
		{stream.Retry, stream.Consumer(p.Durable, []string{event.RetryFilter(p.Durable)})},
		{stream.Replay, stream.Consumer(p.Durable, []string{event.ReplayFilter(p.Durable)})},
		{stream.Events, stream.Consumer(p.Durable, events)},
	}
}

func isOurs(have jetstream.ConsumerConfig) error {
	if have.AckPolicy != jetstream.AckExplicitPolicy || have.DeliverSubject != "" {
		return errors.New("it exists and is not a team's: give the team another name")
	}
	return nil
}
