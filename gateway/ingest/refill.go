package ingest

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/seen"
	"github.com/sluicehq/sluice/pkg/stream"
)

// forgetAfter is when the server forgets the reader of a refill: until then every new event costs it a look at that.
const forgetAfter = 10 * time.Second

// Refill reads the headers of what was stored since a time and marks it, up to what was in the stream at its start:
// for a memory that is new, was wiped, or was away. It may be repeated. It returns how many events it marked.
func Refill(ctx context.Context, js jetstream.JetStream, memory seen.Marker, since time.Time) (int, error) {
	consumer, err := js.OrderedConsumer(ctx, stream.Events, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &since, HeadersOnly: true,
		InactiveThreshold: forgetAfter,
	})
	if err != nil {
		return 0, fmt.Errorf("refill from %s: %w", stream.Events, err)
	}
	info, err := consumer.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("refill from %s: %w", stream.Events, err)
	}
	if info.NumPending == 0 { // Next would wait for the first event to come
		return 0, nil
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(maxGroup))
	if err != nil {
		return 0, fmt.Errorf("refill from %s: %w", stream.Events, err)
	}
	defer messages.Stop()
	return markAll(ctx, messages, memory, int(info.NumPending))
}

func markAll(ctx context.Context, messages jetstream.MessagesContext, memory seen.Marker, count int) (int, error) {
	batch := make([]seen.Mark, 0, maxGroup)
	for done := 0; done < count; {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return done, fmt.Errorf("refill from %s: %w", stream.Events, err)
		}
		meta, err := m.Metadata()
		if err != nil {
			return done, err
		}
		done++
		if identity := m.Headers().Get(event.HeaderID); identity != "" {
			batch = append(batch, seen.Mark{Identity: identity, Sequence: meta.Sequence.Stream, Stored: meta.Timestamp})
		}
		atEnd := meta.NumPending == 0 || done == count
		if len(batch) == maxGroup || atEnd {
			if err := memory.Mark(ctx, batch); err != nil {
				return done, err
			}
			batch = batch[:0]
		}
		if atEnd {
			return done, nil
		}
	}
	return count, nil
}
