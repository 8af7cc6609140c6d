package replay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

// Bar is what was stored within a part of a histogram.
type Bar struct {
	Begin, End time.Time
	Events     uint64
}

const askedAtOnce = 8

// Histogram counts the events that were stored between two times in equal parts. It reads none of them: it asks where
// each part begins.
func Histogram(ctx context.Context, js jetstream.JetStream, from, to time.Time, parts int) ([]Bar, error) {
	firsts := make([]uint64, parts+1)
	at := func(i int) time.Time { return from.Add(to.Sub(from) * time.Duration(i) / time.Duration(parts)) }
	group, bounded := errgroup.WithContext(ctx)
	group.SetLimit(askedAtOnce)
	for i := range firsts {
		group.Go(func() (err error) {
			firsts[i], err = stream.FirstSince(bounded, js, stream.Events, at(i))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	s, err := js.Stream(ctx, stream.Events)
	if err != nil {
		return nil, err
	}
	bars := make([]Bar, parts)
	for i, end := len(firsts)-1, s.CachedInfo().State.LastSeq+1; i >= 0; i-- {
		if firsts[i] == 0 || firsts[i] > end { // nothing was stored since
			firsts[i] = end
		}
		if i < parts {
			bars[i] = Bar{Begin: at(i), End: at(i + 1), Events: end - firsts[i]}
		}
		end = firsts[i]
	}
	return bars, nil
}

// mostCounted is how many events are read to count those of a delivery id or of several patterns.
const mostCounted = 500_000

// ErrTooMany says that a selection cannot be counted without reading too much.
var ErrTooMany = errors.New("too many events would have to be read")

// Count is [Selection.Survey] at once, however many events are selected: it reads events only for a delivery id or for
// several patterns, and says ErrTooMany where that takes too long. The selection it returns has the sequences that were
// counted.
func (s Selection) Count(ctx context.Context, js jetstream.JetStream) (Selection, Survey, error) {
	if s.Archive != nil { // what is there is read
		v, err := s.Survey(ctx, js, nil)
		s.From, s.To = v.First, v.Last
		return s, v, err
	}
	s, err := s.within(ctx, js)
	if err != nil || s.From > s.To || s.To == 0 {
		return s, Survey{}, err
	}
	if s.Delivery != "" || len(s.Events) > 1 {
		if s.To-s.From >= mostCounted {
			return s, Survey{}, fmt.Errorf("%w: %d events lie within that time: choose less than %d", ErrTooMany, s.To-s.From+1, mostCounted)
		}
		v, err := s.Survey(ctx, js, nil)
		return s, v, err
	}
	v := Survey{First: s.From, Last: s.To}
	all, err := s.pending(ctx, js, s.From)
	if err != nil {
		return s, v, err
	}
	behind, err := s.pending(ctx, js, s.To+1)
	v.Events = max(0, all-behind) // events come meanwhile
	return s, v, err
}

// within sets the sequences of the times that are meant, of what is there now.
func (s Selection) within(ctx context.Context, js jetstream.JetStream) (Selection, error) {
	where, err := js.Stream(ctx, stream.Events)
	if err != nil {
		return s, err
	}
	state := where.CachedInfo().State
	if s.From = max(s.From, state.FirstSeq); s.To == 0 || s.To > state.LastSeq {
		s.To = state.LastSeq
	}
	if !s.Since.IsZero() {
		first, err := stream.FirstSince(ctx, js, stream.Events, s.Since)
		if err != nil {
			return s, err
		}
		if first == 0 {
			first = state.LastSeq + 1
		}
		s.From = max(s.From, first)
	}
	if !s.Until.IsZero() {
		next, err := stream.FirstSince(ctx, js, stream.Events, s.Until)
		if err != nil {
			return s, err
		}
		if next > 0 {
			s.To = min(s.To, next-1)
		}
	}
	return s, nil
}

// pending counts what is selected from a sequence on, to the end of the stream: NATS knows it of a consumer.
func (s *Selection) pending(ctx context.Context, js jetstream.JetStream, from uint64) (int, error) {
	config := jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from,
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, HeadersOnly: true, InactiveThreshold: 5 * time.Second}
	if len(s.Events) == 1 {
		config.FilterSubject = event.Filter(s.Events[0])
	}
	c, err := js.CreateConsumer(ctx, stream.Events, config)
	if err != nil {
		return 0, err
	}
	info := c.CachedInfo()
	_ = js.DeleteConsumer(context.WithoutCancel(ctx), stream.Events, info.Name) // it would end by itself
	return int(info.NumPending), nil
}
