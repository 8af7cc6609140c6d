package drain

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/sluicehq/sluice/internal/stream"
)

const (
	few          = 8 // so many are cheaper one by one than a batch, which costs the server about 3 ms
	batchWithin  = 5 * time.Second
	singleWithin = 5 * time.Second
)

// publish stores entries. Those of EVENTS go as one atomic batch, for which the server syncs its disk once; where that
// is refused, because one of them is there already or can never be stored, each goes by itself under the same Nats-Msg-Id.
func (d *Drain) publish(ctx context.Context, fresh []*entry) ([]Stored, error) {
	events, others := apart(fresh)
	if len(events) > few {
		stored, err := d.batch(ctx, events)
		if err == nil {
			more, err := d.singles(others)
			return append(stored, more...), err
		}
		if !isRefused(err) {
			return nil, err
		}
	}
	return d.singles(fresh)
}

func apart(entries []*entry) (events, others []*entry) {
	for _, e := range entries {
		if e.isEvent {
			events = append(events, e)
			continue
		}
		others = append(others, e)
	}
	return events, others
}

func (d *Drain) batch(ctx context.Context, entries []*entry) ([]Stored, error) {
	ctx, cancel := context.WithTimeout(ctx, batchWithin)
	defer cancel()
	messages := make([]*nats.Msg, len(entries))
	for i, e := range entries {
		messages[i] = e.message()
	}
	ack, err := jetstreamext.PublishMsgBatch(ctx, d.JS, messages)
	if err != nil {
		return nil, fmt.Errorf("a batch of %d: %w", len(entries), err)
	}
	stored := make([]Stored, len(entries))
	for i, e := range entries { // a batch has sequences without a gap, and the acknowledgement names the last
		stored[i] = Stored{Identity: e.identity, Event: e.isEvent, Sequence: ack.Sequence - uint64(len(entries)-1-i)}
	}
	return stored, nil
}

// isRefused reports that the batch arrived and what is in it was not taken, or that the client will never send one of
// it: one by one some may be stored.
func isRefused(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) || errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, nats.ErrBadHeaderMsg)
}

// singles publishes entries one by one and waits for all. Their order is kept, and an error leaves all of them to the next
// attempt: those that were stored are duplicates then.
func (d *Drain) singles(entries []*entry) ([]Stored, error) {
	type settled struct {
		at  int
		ack stream.Ack
		err error
	}
	settle := make(chan settled, 2*len(entries)) // one in doubt may be settled twice
	outgoing := make([]*stream.Outgoing, len(entries))
	for i, e := range entries {
		outgoing[i] = &stream.Outgoing{Msg: e.message(), Deadline: time.Now().Add(singleWithin), Once: true,
			Settle: func(ack stream.Ack, err error) { settle <- settled{i, ack, err} }}
	}
	d.Publisher.Publish(outgoing)
	stored := make([]Stored, len(entries))
	var failed error
	for range entries {
		s := <-settle
		e := entries[s.at]
		switch {
		case errors.Is(s.err, stream.ErrUnstorable), !e.isEvent && errors.Is(s.err, nats.ErrPermissionViolation): // no event waits for the quarantine
			if err := d.setAside(e.index, e.record, s.err); err != nil {
				failed = err
			}
		case s.err != nil:
			failed = s.err
		}
		stored[s.at] = Stored{Identity: e.identity, Event: e.isEvent, Sequence: s.ack.Sequence}
	}
	if failed != nil {
		return nil, failed
	}
	return stored, nil
}
