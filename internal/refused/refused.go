// Package refused reads the stream REFUSED: the last requests that the gateway refused, for each cause.
package refused

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// Causes are what they are refused for, as the metrics call it.
var Causes = []string{"invalid", "stale", "malformed", "not_found", "wrong_method", "unexpected", "too_large", "header_too_large"}

// Request is one of them.
type Request struct {
	Sequence uint64 // in REFUSED
	Cause    string // as it stands in the metrics: invalid, stale, malformed, …
	Answer   string // status and text
	Reason   string
	Received time.Time
	Peer     string // address and port
	Delivery string // as it came; may be empty
	Line     string // its first line, without the query
	State    string // of the body: whole, cut or not read
	Header   nats.Header
	Body     []byte
}

// parse reports false for a message that is not Sluice's.
func parse(m *jetstream.RawStreamMsg) (*Request, bool) {
	tokens := strings.Split(m.Subject, ".") // refused.<source>.<cause>
	if len(tokens) != 3 {
		return nil, false
	}
	h := m.Header
	r := &Request{Sequence: m.Sequence, Cause: tokens[2], Received: m.Time.UTC(), Header: h, Body: m.Data,
		Answer: h.Get(event.HeaderAnswer), Reason: h.Get(event.HeaderReason), Peer: h.Get(event.HeaderPeer), Delivery: h.Get(zorio.HeaderDelivery),
		Line: h.Get(event.HeaderRequest), State: h.Get(event.HeaderBody)}
	if at, err := time.Parse(time.RFC3339Nano, h.Get(event.HeaderReceived)); err == nil {
		r.Received = at
	}
	return r, true
}

// Whole reports whether all of the body is there.
func (r *Request) Whole() bool { return r.State == "whole" }

// Each calls take for each request that was refused for a cause, or for any when it is empty, the oldest first, and ends
// with its first error.
func Each(ctx context.Context, js jetstream.JetStream, cause string, take func(*Request) error) error {
	return stream.Scan(ctx, js, stream.Refused, event.RefusedSubject("*", cmp.Or(cause, "*")), func(m *jetstream.RawStreamMsg) error {
		if r, ours := parse(m); ours {
			return take(r)
		}
		return nil
	})
}

// Get returns one request, or an error that is [jetstream.ErrMsgNotFound].
func Get(ctx context.Context, js jetstream.JetStream, sequence uint64) (*Request, error) {
	m, err := stream.Get(ctx, js, stream.Refused, sequence)
	if err != nil {
		return nil, err
	}
	if r, ours := parse(m); ours {
		return r, nil
	}
	return nil, fmt.Errorf("#%d lies on %q: %w", sequence, m.Subject, jetstream.ErrMsgNotFound)
}
