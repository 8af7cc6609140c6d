package faults

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

const drained = 60 * time.Second // within which what lies in the journal is stored

// balance compares what was answered 2xx with what is stored, once the journal has had time.
func (s *stage) balance() {
	taken, js := s.sender.Taken(), s.js()
	for deadline := time.Now().Add(drained); ; lasts(250 * time.Millisecond) {
		events, err := copies(s.t.Context(), js, stream.Events)
		kept, also := copies(s.t.Context(), js, stream.Quarantine)
		s.lost, s.twice = 0, 0
		for id := range taken {
			if events[id]+kept[id] == 0 {
				s.lost++
			}
		}
		for _, n := range events {
			s.twice += n - 1
		}
		if err = errors.Join(err, also); err == nil && s.lost == 0 {
			return
		}
		if time.Now().After(deadline) {
			s.expect(err == nil, "not everything can be read: %v", err)
			return
		}
	}
}

// copies counts those of each delivery in a stream.
func copies(ctx context.Context, js jetstream.JetStream, name string) (map[string]int, error) {
	ctx, cancel := context.WithTimeout(ctx, drained)
	defer cancel()
	consumer, err := js.OrderedConsumer(ctx, name, jetstream.OrderedConsumerConfig{HeadersOnly: true})
	if err != nil {
		return nil, err
	}
	info, err := consumer.Info(ctx)
	if err != nil {
		return nil, err
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(5000))
	if err != nil {
		return nil, err
	}
	defer messages.Stop()
	count := map[string]int{}
	for range info.NumPending {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return count, err
		}
		count[event.DeliveryOf(m.Headers().Get(event.HeaderID))]++
	}
	return count, nil
}
