package rig

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/pkg/event"
)

// StoredBytes is the size of each body that [Store] stores.
const StoredBytes = 100

// Store stores events of names in turns, as a gateway does, with deliveries <first name>-0, <first name>-1, …
func Store(t testing.TB, js jetstream.JetStream, count int, names ...string) {
	t.Helper()
	for i := range count {
		name := names[i%len(names)]
		m := nats.NewMsg(event.Subject("zorio", name))
		m.Header.Set(event.HeaderID, fmt.Sprintf("%s-%d/0123456789abcdef", names[0], i))
		m.Data = fmt.Appendf(nil, "%-*s", StoredBytes, fmt.Sprintf(`{"event":%q, "data":{"n":%d}}`, name, i))
		if _, err := js.PublishMsgAsync(m, jetstream.WithStallWait(10*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
}

// Messages is how many messages are in a stream. A NATS that has just started, or is busy, has a while to say so.
func Messages(t testing.TB, js jetstream.JetStream, stream string) uint64 {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		s, err := js.Stream(t.Context(), stream)
		switch {
		case err == nil:
			return s.CachedInfo().State.Msgs
		case errors.Is(err, jetstream.ErrStreamNotFound) || time.Now().After(deadline):
			t.Fatal(err)
		}
	}
}

// silence is how long nothing may come while a stream is read: NATS may lose a request while it elects a leader.
const silence = 5 * time.Second

// Copies counts those of each delivery in a stream, by its id, or in some of its subjects. After an error it may be asked
// again.
func Copies(ctx context.Context, js jetstream.JetStream, name string, subjects ...string) (map[string]int, error) {
	soon, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	consumer, err := js.OrderedConsumer(soon, name, jetstream.OrderedConsumerConfig{HeadersOnly: true, FilterSubjects: subjects})
	if err != nil {
		return nil, err
	}
	info, err := consumer.Info(soon)
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
		m, err := messages.Next(jetstream.NextMaxWait(silence))
		if err != nil {
			return count, err
		}
		count[event.DeliveryOf(m.Headers().Get(event.HeaderID))]++
	}
	return count, nil
}
