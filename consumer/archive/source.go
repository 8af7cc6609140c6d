package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/mask"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/worker"
)

// team names the durable consumer, as for any team.
const team = "archive"

const (
	ackWait      = 15 * time.Second // how soon the events of a process that was killed come again
	standbyAfter = 5 * time.Second  // how soon another instance takes over
	flushWithin  = 2 * time.Second
	fetchPause   = 250 * time.Millisecond // after a fetch that failed
)

// source is the archive's place in the stream. Of several instances NATS gives events to one ("pinned client"); the
// others wait until that one has not asked for events for a while. Two at work for a moment would do no harm.
type source struct {
	settings *Settings
	config   jetstream.ConsumerConfig
	ackWait  time.Duration
	log      *slog.Logger

	nc       *nats.Conn
	js       jetstream.JetStream
	place    *stream.Place
	nats     *worker.NATSHealth
	unfollow func()
}

// newSource is a place in the stream that is not taken yet.
func newSource(s *Settings, log *slog.Logger, ackWait, standbyAfter time.Duration) *source {
	f := &source{settings: s, ackWait: ackWait, log: log, nats: worker.NewNATSHealth(s.NATSURL), config: jetstream.ConsumerConfig{
		Durable: team, Description: "Sluice: team " + team, FilterSubject: "events.>",
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait, MaxAckPending: s.Events + fetchAtMost, MaxDeliver: -1,
		PriorityPolicy: jetstream.PriorityPolicyPinned, PriorityGroups: []string{team}, PinnedTTL: standbyAfter,
	}}
	s.Start.Apply(&f.config)
	return f
}

// open connects and makes the durable consumer. It waits for NATS and for the stream until ctx ends.
func (f *source) open(ctx context.Context) error {
	s := f.settings
	var err error
	if f.nc, err = stream.ConnectTeam(ctx, team, stream.Options{URL: s.NATSURL, Creds: s.NATSCreds, TLS: s.NATSTLS.Files(), Log: f.log}); err != nil {
		return err
	}
	if f.js, err = jetstream.New(f.nc); err != nil {
		return err
	}
	f.place = &stream.Place{Conn: f.nc, JS: f.js, Stream: stream.Events, Want: f.config, Compatible: f.isOurs, Log: f.log}
	f.unfollow = f.nats.Follow(f.nc, f.place)
	if err := f.place.Take(ctx); err != nil {
		return err
	}
	f.log.Info("working", "team", team, "archive", mask.Address(s.Archive), "nats", mask.Address(s.NATSURL), "waiting", f.place.Waiting())
	return nil
}

func (f *source) isOurs(have jetstream.ConsumerConfig) error {
	if have.PriorityPolicy != f.config.PriorityPolicy || have.AckPolicy != f.config.AckPolicy {
		return errors.New("it exists and is not the archive's: remove it (sluicectl teams remove archive)")
	}
	return nil
}

// fetchWait is how long a fetch waits for an event: a stop waits for it at most. An event counts as given when it was
// asked for, so that one that comes at the last moment still has most of its time.
func (f *source) fetchWait() time.Duration { return f.ackWait / 15 }

// fetch takes up to so many events, and waits so long for the first. It returns an error only when there is no place in
// the stream any more, and none can be made.
func (f *source) fetch(ctx context.Context, most int, wait time.Duration, take func(jetstream.Msg)) error {
	got, err := f.place.Fetch(most, jetstream.FetchMaxWait(wait), jetstream.FetchPriorityGroup(team))
	if err == nil {
		for msg := range got.Messages() {
			take(msg)
		}
		err = got.Error()
	}
	if errors.Is(err, jetstream.ErrPinIDMismatch) { // another instance has the turn
		err = nil
	}
	if err != nil {
		f.log.Debug("fetch", "error", err)
		stream.Pause(ctx, fetchPause)
	}
	if err := f.place.Look(ctx, err); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

func (f *source) flush() error { return f.nc.FlushTimeout(flushWithin) }

// unpin lets another instance take over at once.
func (f *source) unpin() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if events, err := f.js.Stream(ctx, stream.Events); err == nil {
		_ = events.UnpinConsumer(ctx, team, team) // it takes over a little later, then
	}
}

func (f *source) close() {
	if f.unfollow != nil {
		f.unfollow()
	}
	if f.nc != nil {
		f.nc.Close()
	}
}
