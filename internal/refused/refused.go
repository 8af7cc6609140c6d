// Package refused reads the stream REFUSED: the last requests that became no new event, for each cause.
package refused

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// Causes are why requests become no new event, as the metrics call it.
var Causes = []string{
	"invalid", "stale", "malformed", "not_found", "wrong_method", "unexpected", "too_large", "header_too_large", "timeout",
	"duplicate", "quarantined_late", "quarantined_unroutable", "quarantined_replayed",
	"not_stored", "unstorable", "overloaded", "too_many_connections", "too_many_connections_per_ip", "starting", "stopping", "broken",
	"plain_http", "tls",
}

// Request is one of them.
type Request struct {
	Sequence uint64 // in REFUSED
	Source   string
	Cause    string // as it stands in the metrics: invalid, stale, malformed, …
	Answer   string // status and text
	Reason   string
	Received time.Time
	Took     time.Duration // until its answer; 0 where nobody knows
	Peer     string        // address and port
	Delivery string        // as it came; may be empty
	Event    string        // as its header says, which nobody has signed; may be empty
	Line     string        // its first line, without the query
	State    string        // of the body: whole, cut or not read
	Header   nats.Header
	Body     []byte
}

// Parse reports false for a message that is not Sluice's.
func Parse(subject string, sequence uint64, stored time.Time, h nats.Header, body []byte) (*Request, bool) {
	tokens := strings.Split(subject, ".") // refused.<source>.<cause>
	if len(tokens) != 3 || tokens[0] != "refused" {
		return nil, false
	}
	r := &Request{Sequence: sequence, Source: tokens[1], Cause: tokens[2], Received: stored.UTC(), Header: h, Body: body,
		Answer: h.Get(event.HeaderAnswer), Reason: h.Get(event.HeaderReason), Peer: h.Get(event.HeaderPeer), Delivery: h.Get(zorio.HeaderDelivery),
		Event: h.Get(zorio.HeaderEvent), Line: h.Get(event.HeaderRequest), State: h.Get(event.HeaderBody)}
	if at, err := time.Parse(time.RFC3339Nano, h.Get(event.HeaderReceived)); err == nil {
		r.Received = at
	}
	if took, err := time.ParseDuration(h.Get(event.HeaderTook)); err == nil {
		r.Took = took
	}
	return r, true
}

// Size is how many bytes of body came, where that is known.
func (r *Request) Size() int {
	if rest, cut := strings.CutPrefix(r.State, "cut, "); cut {
		came, _, _ := strings.Cut(rest, " ")
		if n, err := strconv.Atoi(came); err == nil {
			return n
		}
	}
	return len(r.Body)
}

// Whole reports whether all of the body is there.
func (r *Request) Whole() bool { return r.State == "whole" }

// Each calls take for each request that became no new event for a cause, or for any when it is empty, the oldest first, and ends
// with its first error.
func Each(ctx context.Context, js jetstream.JetStream, cause string, take func(*Request) error) error {
	return stream.Scan(ctx, js, stream.Refused, event.RefusedSubject("*", cmp.Or(cause, "*")), func(m *jetstream.RawStreamMsg) error {
		if r, ours := Parse(m.Subject, m.Sequence, m.Time, m.Header, m.Data); ours {
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
	if r, ours := Parse(m.Subject, m.Sequence, m.Time, m.Header, m.Data); ours {
		return r, nil
	}
	return nil, fmt.Errorf("#%d lies on %q: %w", sequence, m.Subject, jetstream.ErrMsgNotFound)
}
