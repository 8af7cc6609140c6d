package ingest

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/gateway/seen"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

// Refill reads the headers of what was stored since a time and marks it, up to what was in the stream at its start:
// for a memory that is new, was wiped, or was away. It may be repeated. It returns how many events it marked.
func Refill(ctx context.Context, js jetstream.JetStream, memory seen.Marker, since time.Time) (count int, err error) {
	batch := make([]seen.Mark, 0, maxGroup)
	mark := func() error {
		err := memory.Mark(ctx, batch)
		count, batch = count+len(batch), batch[:0]
		return err
	}
	err = stream.Read(ctx, js, stream.Events, stream.Range{Since: since, HeadersOnly: true}, func(m *jetstream.RawStreamMsg) error {
		if identity := m.Header.Get(event.HeaderID); identity != "" {
			batch = append(batch, seen.Mark{Identity: identity, Sequence: m.Sequence, Stored: m.Time})
		}
		if len(batch) < maxGroup {
			return nil
		}
		return mark()
	})
	if err == nil {
		err = mark()
	}
	if err != nil {
		return count, fmt.Errorf("refill from %s: %w", stream.Events, err)
	}
	return count, nil
}
