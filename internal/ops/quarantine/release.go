package quarantine

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

// Release makes ordinary events of entries.
type Release struct {
	As           string // the event's name, for entries that have none; empty: the one in the body
	BodyIdentity bool   // what the gateway's SLUICE_IDENTITY=body does

	// Stored, unless nil, is called for what is stored, so that the gateway knows a repetition of it.
	Stored func(ctx context.Context, identity string, sequence uint64) error

	known map[string]bool // identities that are in EVENTS already
}

// back is how long before an entry came an earlier attempt of the same delivery may have been stored: as long as the
// gateway remembers what it has seen.
const back = 24 * time.Hour

// Prepare counts what is selected, and looks up which of it is in EVENTS already: the stream's duplicate window is over
// by the time that a person releases something.
func (r *Release) Prepare(ctx context.Context, js jetstream.JetStream, s Selection) (count int, err error) {
	wanted := map[string]bool{}
	first := time.Now()
	err = Headers(ctx, js, s, func(e *Entry) error {
		wanted[e.identity(r.BodyIdentity)] = true
		count++
		if e.Received.Before(first) {
			first = e.Received
		}
		return nil
	})
	if err != nil || count == 0 {
		return count, err
	}
	r.known = map[string]bool{}
	since := stream.Range{Since: first.Add(-back), HeadersOnly: true}
	return count, stream.Read(ctx, js, stream.Events, since, func(m *jetstream.RawStreamMsg) error {
		if identity := m.Header.Get(event.HeaderID); wanted[identity] {
			r.known[identity] = true
		}
		return nil
	})
}

// Outcome is what became of an entry that was released.
type Outcome struct {
	Event     string
	Sequence  uint64 // in EVENTS; 0 for a duplicate
	Duplicate bool   // the event was stored before
}

// Do stores an entry as the event that the gateway would have made of it, and removes it from quarantine when that is
// acknowledged, or was stored before. An entry without a usable name is an error, and stays, unless As names it.
func (r *Release) Do(ctx context.Context, js jetstream.JetStream, e *Entry) (o Outcome, err error) {
	if o.Event, err = r.name(e); err != nil {
		return o, err
	}
	if e.Signature == "" {
		return o, fmt.Errorf("#%d has no signature: the gateway did not put it here", e.Sequence)
	}
	identity := e.identity(r.BodyIdentity)
	if o.Duplicate = r.known[identity]; !o.Duplicate {
		if err := r.store(ctx, js, e, identity, &o); err != nil {
			return o, err
		}
	}
	return o, stream.Delete(ctx, js, stream.Quarantine, e.Sequence)
}

func (r *Release) name(e *Entry) (string, error) {
	if r.As != "" {
		return r.As, nil
	}
	name, err := e.EventName()
	if err != nil {
		return "", fmt.Errorf("#%d has no event name that can be used (%w): name one with --as", e.Sequence, err)
	}
	return name, nil
}

func (r *Release) store(ctx context.Context, js jetstream.JetStream, e *Entry, identity string, o *Outcome) error {
	header := nats.Header(event.WithoutNats(e.Header))
	header.Set(event.HeaderID, identity)
	ack, err := js.PublishMsg(ctx, &nats.Msg{Subject: event.Subject(e.Source, o.Event), Header: header, Data: e.Body})
	if err != nil {
		return fmt.Errorf("release #%d: %w", e.Sequence, err)
	}
	if o.Duplicate = ack.Duplicate; !ack.Duplicate {
		o.Sequence = ack.Sequence
	}
	if r.Stored == nil {
		return nil
	}
	return r.Stored(ctx, identity, ack.Sequence)
}
