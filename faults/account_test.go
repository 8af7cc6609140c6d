package faults

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

const drained = 60 * time.Second // within which what lies in the journal is stored

// balance compares what was answered 2xx with what is stored, once the journal has had time.
func (s *stage) balance() {
	taken, js := s.sender.Taken(), rig.JetStream(s.t, s.hub())
	for deadline := time.Now().Add(drained); ; lasts(250 * time.Millisecond) {
		events, kept := copies(s.t, js, stream.Events), copies(s.t, js, stream.Quarantine)
		s.lost, s.twice = 0, 0
		for id := range taken {
			if events[id]+kept[id] == 0 {
				s.lost++
			}
		}
		for _, n := range events {
			s.twice += n - 1
		}
		if s.lost == 0 || time.Now().After(deadline) {
			s.stored = len(events)
			return
		}
	}
}

// copies counts those of each delivery in a stream.
func copies(t *testing.T, js jetstream.JetStream, name string) map[string]int {
	t.Helper()
	consumer, err := js.OrderedConsumer(t.Context(), name, jetstream.OrderedConsumerConfig{HeadersOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	info, err := consumer.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(5000))
	if err != nil {
		t.Fatal(err)
	}
	defer messages.Stop()
	count := map[string]int{}
	for range info.NumPending {
		m, err := messages.Next(jetstream.NextContext(t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		count[event.DeliveryOf(m.Headers().Get(event.HeaderID))]++
	}
	return count
}
