// Package tally counts stored events by kind: how many, how fast, and how large.
package tally

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

// Most is how many headers are read: about two seconds' worth. Of more events a sample is read, evenly spread.
const (
	Most    = 200_000
	windows = 40 // of a sample
)

// Kind counts the events of one name.
type Kind struct {
	Event  string    `json:"event"`
	Count  uint64    `json:"count"`
	Rate   float64   `json:"rate"`  // events a second
	Bytes  uint64    `json:"bytes"` // of bodies
	Newest time.Time `json:"newest"`
}

// Tally is what was stored in EVENTS in a while.
type Tally struct {
	Since   time.Time `json:"since"`
	Until   time.Time `json:"until"`
	Events  uint64    `json:"events"`
	Rate    float64   `json:"rate"`
	Bytes   uint64    `json:"bytes"`
	Read    uint64    `json:"read"`    // events that were looked at
	Sampled bool      `json:"sampled"` // there are more: all counts and bytes are estimates
	Kinds   []*Kind   `json:"kinds"`   // the most frequent first
}

// Since counts the events that were stored since then. Of more than most events it looks at about so many, evenly
// spread, and estimates.
func Since(ctx context.Context, js jetstream.JetStream, since time.Time, most uint64) (*Tally, error) {
	s, err := js.Stream(ctx, stream.Events)
	if err != nil {
		return nil, stream.Missing(stream.Events)
	}
	info := s.CachedInfo()
	t := &Tally{Since: since.UTC(), Until: info.TimeStamp.UTC(), Kinds: []*Kind{}}
	if t.Since.Before(info.State.FirstTime) { // retention has dropped what was before, or nothing was
		t.Since = info.State.FirstTime.UTC()
	}
	first, err := firstSince(ctx, s, since)
	if err != nil || first == 0 {
		return t, err
	}
	c := counter{tally: t, kinds: map[string]*Kind{}}
	all := info.State.LastSeq - first + 1
	for _, r := range ranges(first, info.State.LastSeq, most) {
		if err := stream.Read(ctx, js, stream.Events, r, c.add); err != nil {
			return nil, err
		}
		c.covered += r.To - r.From + 1
	}
	c.finish(all)
	return t, nil
}

// firstSince is the sequence of the first event that was stored then or later, or 0.
func firstSince(ctx context.Context, s jetstream.Stream, since time.Time) (uint64, error) {
	consumer, err := s.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &since, HeadersOnly: true})
	if err != nil {
		return 0, err
	}
	if consumer.CachedInfo().NumPending == 0 {
		return 0, nil
	}
	return consumer.CachedInfo().Delivered.Stream + 1, nil
}

// ranges are what is read: all, or windows at the same distance from each other.
func ranges(first, last, most uint64) (all []stream.Range) {
	count := last - first + 1
	if count <= most {
		return []stream.Range{{From: first, To: last, HeadersOnly: true}}
	}
	size, step := max(1, most/windows), count/windows
	for i := range uint64(windows) {
		from := first + i*step
		all = append(all, stream.Range{From: from, To: from + size - 1, HeadersOnly: true})
	}
	return all
}

// counter adds up what is read.
type counter struct {
	tally   *Tally
	kinds   map[string]*Kind
	covered uint64 // sequences; some may be of events that were removed
}

func (c *counter) add(m *jetstream.RawStreamMsg) error {
	e, err := event.Parse(m.Subject, m.Header, nil)
	if err != nil { // what is no event is nobody's
		return nil
	}
	k := c.kinds[e.Name]
	if k == nil {
		k = &Kind{Event: e.Name}
		c.kinds[e.Name] = k
	}
	size, _ := strconv.ParseUint(m.Header.Get("Nats-Msg-Size"), 10, 64) // 0 where it is not said
	k.Count, k.Bytes, k.Newest = k.Count+1, k.Bytes+size, m.Time.UTC()
	c.tally.Read++
	return nil
}

// finish makes of what was read what is so of all sequences.
func (c *counter) finish(all uint64) {
	t := c.tally
	factor := float64(all) / float64(max(c.covered, 1))
	t.Sampled = c.covered < all
	seconds := max(t.Until.Sub(t.Since).Seconds(), 1)
	for _, k := range c.kinds {
		k.Count, k.Bytes = scaled(k.Count, factor), scaled(k.Bytes, factor)
		k.Rate = float64(k.Count) / seconds
		t.Events, t.Bytes = t.Events+k.Count, t.Bytes+k.Bytes
		t.Kinds = append(t.Kinds, k)
	}
	t.Rate = float64(t.Events) / seconds
	slices.SortFunc(t.Kinds, func(a, b *Kind) int { return cmp.Or(-cmp.Compare(a.Count, b.Count), cmp.Compare(a.Event, b.Event)) })
}

func scaled(n uint64, factor float64) uint64 { return uint64(float64(n)*factor + 0.5) }
