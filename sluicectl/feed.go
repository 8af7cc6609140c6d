package main

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// feed is a stream that is read as it grows.
type feed struct {
	stream   string
	messages jetstream.MessagesContext
	arrive   chan arrival
	head     *arrival // read, and not taken
	behind   bool     // more is stored already
}

// arrival is a message, or why there is none.
type arrival struct {
	jetstream.Msg
	at  time.Time
	err error
}

func openFeed(ctx context.Context, js jetstream.JetStream, name string, config jetstream.OrderedConsumerConfig) (*feed, error) {
	consumer, err := js.OrderedConsumer(ctx, name, config)
	if err != nil {
		return nil, err
	}
	messages, err := consumer.Messages()
	if err != nil {
		return nil, err
	}
	f := &feed{stream: name, messages: messages, arrive: make(chan arrival), behind: consumer.CachedInfo().NumPending > 0}
	go f.read(ctx)
	return f, nil
}

// read hands messages out, until ctx ends or the feed is stopped.
func (f *feed) read(ctx context.Context) {
	defer close(f.arrive)
	for {
		var a arrival
		if a.Msg, a.err = f.messages.Next(jetstream.NextContext(ctx)); a.err == nil {
			var meta *jetstream.MsgMetadata
			if meta, a.err = a.Metadata(); a.err == nil {
				a.at = meta.Timestamp
			}
		}
		select {
		case f.arrive <- a:
		case <-ctx.Done():
			return
		}
		if a.err != nil {
			return
		}
	}
}

// take returns the head, which is there after [feeds.next] has returned this feed.
func (f *feed) take() jetstream.Msg {
	m := f.head.Msg
	meta, err := m.Metadata()
	f.head, f.behind = nil, err == nil && meta.NumPending > 0
	return m
}

// feeds are streams that are read together.
type feeds []*feed

// next returns the feed that has the oldest head: what is stored already comes in the order of time, and what is being
// stored as it comes.
func (all feeds) next(ctx context.Context) (*feed, error) {
	for {
		if f := all.oldest(); f != nil {
			return f, nil
		}
		if err := all.wait(ctx); err != nil {
			return nil, err
		}
	}
}

// oldest is nil while a feed that has more has not handed it out.
func (all feeds) oldest() (first *feed) {
	for _, f := range all {
		switch {
		case f.head == nil && f.behind:
			return nil
		case f.head != nil && (first == nil || f.head.at.Before(first.head.at)):
			first = f
		}
	}
	return first
}

// wait waits for the head of a feed that has none. Two is all that there are.
func (all feeds) wait(ctx context.Context) error {
	var of [2]chan arrival // those that are not there are nil, and never ready
	for i, f := range all {
		if f.head == nil {
			of[i] = f.arrive
		}
	}
	var a arrival
	at := 0
	select {
	case a = <-of[0]:
	case a = <-of[1]:
		at = 1
	case <-ctx.Done():
		return ctx.Err()
	}
	all[at].head = &a
	return a.err
}

func (all feeds) stop() {
	for _, f := range all {
		f.messages.Stop()
	}
}
