// Package quarantine lists, releases and drops the deliveries in the stream QUARANTINE: their signature is valid, but
// they could not be routed, came too late, or too often.
package quarantine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/signature"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// Reasons why a delivery is here.
const (
	Late       = "late"       // its timestamp was out of tolerance
	Unroutable = "unroutable" // it has no event name that can be a subject
	Replayed   = "replayed"   // its body came under too many delivery ids
)

// Reasons are all of them.
var Reasons = []string{Late, Unroutable, Replayed}

// Entry is one delivery.
type Entry struct {
	Sequence  uint64 // in QUARANTINE
	Source    string // the sender
	Reason    string
	Received  time.Time
	Delivery  string // the sender's delivery id as it came; may be empty
	Signature string // hexadecimal digits
	Header    nats.Header
	Body      []byte
}

// ErrNotFound says that there is no such entry, or not any more.
var ErrNotFound = errors.New("no such entry in quarantine")

func parse(m *jetstream.RawStreamMsg) (*Entry, error) {
	tokens := strings.Split(m.Subject, ".") // quarantine.<source>.<reason>
	if len(tokens) != 3 {
		return nil, fmt.Errorf("%s #%d lies on %q, which is not Sluice's", stream.Quarantine, m.Sequence, m.Subject)
	}
	e := &Entry{Sequence: m.Sequence, Source: tokens[1], Reason: tokens[2], Received: m.Time.UTC(), Header: m.Header, Body: m.Data,
		Delivery: m.Header.Get(zorio.HeaderDelivery), Signature: cmp.Or(m.Header.Get(event.HeaderID), signature.Hex(m.Header.Get(zorio.HeaderSignature)))}
	if at, err := time.Parse(time.RFC3339Nano, m.Header.Get(event.HeaderReceived)); err == nil {
		e.Received = at
	}
	return e, nil
}

// EventName finds the event's name in the body; the error says why there is none.
func (e *Entry) EventName() (string, error) { return zorio.EventName(e.Body) }

// Claimed is the event's name in the header, which nobody has signed.
func (e *Entry) Claimed() string { return e.Header.Get(zorio.HeaderEvent) }

// identity is what the gateway would have given the delivery; see SLUICE_IDENTITY for bodyOnly.
func (e *Entry) identity(bodyOnly bool) string {
	if bodyOnly || len(e.Signature) < 64 {
		return e.Signature
	}
	return event.IdentityOf(e.Delivery, e.Signature)
}

// Selection says which entries are meant: those that are all of what is set.
type Selection struct {
	Sequence uint64 // in QUARANTINE
	Source   string
	Reason   string
	Delivery string
	Event    string // as its header names it, which nobody has signed
	From, To uint64 // sequences in QUARANTINE, both inclusive; 0: from the first, to the last
}

func (s *Selection) matches(e *Entry) bool {
	return s.From <= e.Sequence && (s.To == 0 || e.Sequence <= s.To) && (s.Source == "" || s.Source == e.Source) &&
		(s.Event == "" || s.Event == e.Claimed()) && (s.Reason == "" || s.Reason == e.Reason) && (s.Delivery == "" || s.Delivery == e.Delivery)
}

func (s *Selection) where(headersOnly bool) stream.Range {
	subject := event.QuarantineSubject(cmp.Or(s.Source, "*"), cmp.Or(s.Reason, "*"))
	return stream.Range{Filters: []string{subject}, From: s.From, To: s.To, HeadersOnly: headersOnly}
}

// Each calls take for each selected entry, with its body, the oldest first, and ends with its first error.
func Each(ctx context.Context, js jetstream.JetStream, s Selection, take func(*Entry) error) error {
	if s.Sequence == 0 {
		return stream.Read(ctx, js, stream.Quarantine, s.where(false), s.parsed(take))
	}
	m, err := get(ctx, js, s.Sequence)
	if err != nil {
		return err
	}
	if _, err := parse(m); err != nil {
		return err
	}
	return s.parsed(take)(m)
}

// parsed skips entries that are not selected, and messages that are not entries.
func (s *Selection) parsed(take func(*Entry) error) func(*jetstream.RawStreamMsg) error {
	return func(m *jetstream.RawStreamMsg) error {
		e, err := parse(m)
		if err != nil || !s.matches(e) {
			return nil
		}
		return take(e)
	}
}

// Headers is Each without bodies, and faster.
func Headers(ctx context.Context, js jetstream.JetStream, s Selection, take func(*Entry) error) error {
	if s.Sequence > 0 {
		return Each(ctx, js, s, take)
	}
	return stream.Read(ctx, js, stream.Quarantine, s.where(true), s.parsed(take))
}

func get(ctx context.Context, js jetstream.JetStream, sequence uint64) (*jetstream.RawStreamMsg, error) {
	m, err := stream.Get(ctx, js, stream.Quarantine, sequence)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, fmt.Errorf("%w: #%d", ErrNotFound, sequence)
	}
	return m, err
}

// Get returns one by its sequence in QUARANTINE, or [ErrNotFound].
func Get(ctx context.Context, js jetstream.JetStream, sequence uint64) (*Entry, error) {
	m, err := get(ctx, js, sequence)
	if err != nil {
		return nil, err
	}
	return parse(m)
}

// Drop removes an entry for good. Gone reports that somebody else had removed or released it.
func Drop(ctx context.Context, js jetstream.JetStream, e *Entry) (gone bool, err error) {
	return stream.Remove(ctx, js, stream.Quarantine, e.Sequence)
}
