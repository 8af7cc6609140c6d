package access

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

// Settle makes the durable consumers that a team lacks, and sets which events those take that are there. A new one
// begins where start says, which may be nil for the oldest event kept. Where one is, it goes on.
func (t Team) Settle(ctx context.Context, js jetstream.JetStream, start func(*jetstream.ConsumerConfig)) error {
	for _, p := range t.Places {
		for name, want := range p.durables() {
			if name == stream.Events && start != nil {
				start(&want)
			}
			if _, err := stream.Durable(ctx, js, name, want, isOurs); err != nil {
				return fmt.Errorf("the consumer %s of the stream %s: %w", p.Durable, name, err)
			}
		}
	}
	return nil
}

// durables are the consumers of a place, by stream. One that is pinned retries and replays nothing.
func (p Place) durables() map[string]jetstream.ConsumerConfig {
	if p.Pinned {
		return map[string]jetstream.ConsumerConfig{stream.Events: stream.Pinned(p.Durable)}
	}
	var events []string
	for _, pattern := range p.Events {
		events = append(events, event.Filter(pattern))
	}
	return map[string]jetstream.ConsumerConfig{
		stream.Events: stream.Consumer(p.Durable, events),
		stream.Retry:  stream.Consumer(p.Durable, []string{event.RetryFilter(p.Durable)}),
		stream.Replay: stream.Consumer(p.Durable, []string{event.ReplayFilter(p.Durable)}),
	}
}

func isOurs(have jetstream.ConsumerConfig) error {
	if have.AckPolicy != jetstream.AckExplicitPolicy || have.DeliverSubject != "" {
		return errors.New("it exists and is not a team's: give the team another name")
	}
	return nil
}
