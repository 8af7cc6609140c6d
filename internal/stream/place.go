package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Place is a team's place in a stream: its durable consumer. One that has vanished, with its stream or alone, is made
// again where it loses nothing: where the team was, or from the beginning of a stream that is new. What was processed
// since the team's position was last seen is given out again then.
//
// Its methods are for one goroutine, except for Trouble.
type Place struct {
	Conn       *nats.Conn
	JS         jetstream.JetStream
	Stream     string
	Want       jetstream.ConsumerConfig                  // as the team's first start makes it
	Compatible func(have jetstream.ConsumerConfig) error // refuses a durable that cannot be the team's
	Log        *slog.Logger

	durable  jetstream.Consumer
	began    time.Time // when it was taken first
	created  time.Time // the stream
	position uint64    // the team has settled everything in the stream up to here, as far as was seen
	looked   time.Time // when it was seen
	trouble  atomic.Pointer[string]
}

const (
	lookEvery    = 2 * time.Second // at a durable from which nothing comes amiss: a vanished one is often silent
	answerWithin = 5 * time.Second
)

// Take waits for the stream, and makes the durable or updates it. An error is the end of ctx, or will not pass by itself.
func (p *Place) Take(ctx context.Context) error {
	if p.began.IsZero() {
		p.began = time.Now()
	}
	return WaitFor(ctx, p.Log, "the stream "+p.Stream+", which the gateway makes", func() error {
		bounded, cancel := context.WithTimeout(ctx, answerWithin)
		defer cancel()
		return p.note(p.take(bounded))
	})
}

func (p *Place) take(ctx context.Context) error {
	s, err := p.JS.Stream(ctx, p.Stream)
	if err != nil {
		return err
	}
	var before []string
	durable, err := Durable(ctx, p.JS, p.Stream, p.from(s.CachedInfo()), func(have jetstream.ConsumerConfig) error {
		before = filtersOf(have)
		return p.Compatible(have)
	})
	switch {
	case errors.Is(err, ErrNotMade):
		return fmt.Errorf("the consumer %s of the stream %s: %w: an operator makes it with sluicectl team add", p.Want.Durable, p.Stream, err)
	case errors.Is(err, ErrNotChanged):
		p.sayOthers(before, "the team takes the events that its operator has set, and not those that it asks for",
			"an operator changes them with sluicectl team add")
	case err != nil:
		return fmt.Errorf("the consumer %s of the stream %s: %w", p.Want.Durable, p.Stream, err)
	case before != nil:
		p.sayOthers(before, "the team's events have changed: new ones apply from now on, not to events before",
			"if two programs use this team's name, give one of them another; to process earlier events, use sluicectl replay")
	}
	p.durable, p.created = durable, s.CachedInfo().Created
	p.see(durable.CachedInfo())
	return nil
}

// sayOthers tells of a durable that took other events than it shall.
func (p *Place) sayOthers(before []string, what, remedy string) {
	if now := filtersOf(p.Want); !slices.Equal(before, now) {
		p.Log.Warn(what, "stream", p.Stream, "before", before, "now", now, "remedy", remedy)
	}
}

// from is the durable to be made, with where it begins.
func (p *Place) from(s *jetstream.StreamInfo) jetstream.ConsumerConfig {
	want := p.Want
	switch {
	case p.created.IsZero(), s.Config.Retention == jetstream.WorkQueuePolicy: // what a queue still has is not settled
	case s.Created.Equal(p.created) && p.position <= s.State.LastSeq:
		want.DeliverPolicy, want.OptStartTime, want.OptStartSeq = jetstream.DeliverByStartSequencePolicy, nil, p.position+1
	case want.DeliverPolicy == jetstream.DeliverNewPolicy: // "now" was when the team began
		want.DeliverPolicy, want.OptStartTime = jetstream.DeliverByStartTimePolicy, &p.began
	}
	if p.durable != nil { // an operator's pause outlives the durable that it was written into
		have := p.durable.CachedInfo().Config
		want.Metadata, want.PauseUntil = have.Metadata, have.PauseUntil
	}
	return want
}

// Mark is what only the team and its operators know; empty where no operator made the place.
func (p *Place) Mark() string { return p.durable.CachedInfo().Config.Metadata[Mark] }

// Waiting is how many events waited when the place was last looked at.
func (p *Place) Waiting() uint64 { return p.durable.CachedInfo().NumPending }

// Fetch asks for events. While NATS is away it fails at once.
func (p *Place) Fetch(most int, options ...jetstream.FetchOpt) (jetstream.MessageBatch, error) {
	if !p.Conn.IsConnected() { // the client would leave a subscription behind
		return nil, nats.ErrDisconnected
	}
	return p.durable.Fetch(most, options...)
}

// Look finds out after a fetch, which may have failed, whether the durable is still there: at once after a failure,
// and every few seconds anyway, because a fetch from a vanished one may just bring nothing. If it is gone it is made again,
// and that can take until the gateway has made the stream; /readyz says so meanwhile. It returns what Take does.
func (p *Place) Look(ctx context.Context, failed error) error {
	if failed == nil && time.Since(p.looked) < lookEvery {
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	info, err := p.durable.Info(bounded)
	switch {
	case err == nil:
		p.see(info)
	case errors.Is(err, jetstream.ErrConsumerNotFound), errors.Is(err, jetstream.ErrStreamNotFound):
		_ = p.note(err)
		p.Log.Warn("the team's consumer or its stream was removed from NATS: creating it again, at the team's position or at the beginning of a new stream; some events may be processed again",
			"stream", p.Stream, "consumer", p.Want.Durable, "error", err)
		return p.Take(ctx)
	case ctx.Err() == nil:
		_ = p.note(err)
	}
	return nil
}

// see takes what the server says of the durable.
func (p *Place) see(info *jetstream.ConsumerInfo) {
	p.position, p.looked = info.AckFloor.Stream, time.Now()
	_ = p.note(nil)
}

// note keeps what the trouble is.
func (p *Place) note(err error) error {
	if err == nil {
		p.trouble.Store(nil)
		return nil
	}
	text := p.Stream + ": " + err.Error()
	p.trouble.Store(&text)
	return err
}

// Trouble is why nothing comes from the stream; empty when nothing is known to be wrong. Any goroutine may ask.
func (p *Place) Trouble() string {
	if text := p.trouble.Load(); text != nil {
		return *text
	}
	return ""
}
