package requests

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/stream"
)

// Count is how many requests there are of something.
type Count struct {
	Name  string
	Count uint64
}

// Counts are how many requests are kept, by everything that a [Filter] may name. Events are all counted; of what became
// none a sample is kept, and counted.
type Counts struct {
	Events  uint64
	Refused uint64
	Sources []Count
	Names   []Count // of events, the most frequent first
	Causes  []Count
	Spans   []Span
}

// Span counts the events of the last while.
type Span struct {
	Last   time.Duration
	Events uint64
}

// CountAll reads no message but one for each span.
func CountAll(ctx context.Context, js jetstream.JetStream, spans ...time.Duration) (*Counts, error) {
	events, err := look(ctx, js, stream.Events)
	if err != nil {
		return nil, err
	}
	c := &Counts{Events: events.State.Msgs, Sources: tokens(events, 1), Names: tokens(events, 2)}
	kept, err := look(ctx, js, stream.Refused)
	switch {
	case err == nil:
		c.Refused, c.Causes = kept.State.Msgs, tokens(kept, 2)
	case !errors.Is(err, jetstream.ErrStreamNotFound):
		return nil, err
	}
	for _, last := range spans {
		first, err := stream.SequenceAt(ctx, js, events, time.Now().Add(-last))
		if err != nil {
			return nil, err
		}
		c.Spans = append(c.Spans, Span{last, min(events.State.LastSeq+1-first, events.State.Msgs)})
	}
	return c, nil
}

// tokens adds up the counts of subjects by one of their tokens; the third is all the rest.
func tokens(info *jetstream.StreamInfo, at int) (counts []Count) {
	of := map[string]uint64{}
	for subject, n := range info.State.Subjects {
		if parts := strings.SplitN(subject, ".", 3); len(parts) == 3 {
			of[parts[at]] += n
		}
	}
	for name, n := range of {
		counts = append(counts, Count{name, n})
	}
	slices.SortFunc(counts, func(a, b Count) int { return cmp.Or(-cmp.Compare(a.Count, b.Count), cmp.Compare(a.Name, b.Name)) })
	return counts
}
