package ingest

import (
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/internal/tracing"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/signature"
)

// delivery is one authentic request between its verification and its answer. It owns its bytes: nothing of it points
// into the server's buffers.
type delivery struct {
	stream.Outgoing        // the message it becomes
	identity        string // what it is deduplicated by
	quarantined     reason // why it is not an ordinary event; empty for one that is
	name            string // the event's name; empty when unroutable
	received        time.Time
	published       time.Time
	doubtful        bool         // it was given up while a copy was on its way, which may be acknowledged yet
	keeps           *nats.Msg    // what the journal is to keep; nil where it is not asked to
	spilled         bool         // NATS did not take it in time
	unasked         bool         // its memory could not tell for sure whether it is stored
	span            tracing.Span // from its request to its answer; nil where nothing is traced
	fate            chan *answer // takes its one answer without blocking
}

// reason says why an authentic request lies in quarantine.
type reason string

const (
	unroutable reason = "unroutable" // no event name that can be a subject
	late       reason = "late"       // the timestamp is out of tolerance
	replayed   reason = "replayed"   // one copy too many of a signature
)

// identityOf is what makes a delivery itself: its id and its signature, or the signature alone.
func identityOf(deliveryID, signatureHeader []byte, bodyOnly bool) string {
	digits := signature.Hex(string(signatureHeader))
	if bodyOnly {
		return digits
	}
	return event.IdentityOf(string(deliveryID), digits)
}

// message builds what is published. The header's values share one slice, and its map is made for what usually is in
// it: up to eight entries cost half of nine.
func (r *request) message(source string, d *delivery, subject, id string) *nats.Msg {
	header := make(nats.Header, r.count+3)
	values := make([]string, 0, r.count+5)
	set := func(key, value string) {
		values = append(values, value)
		header[key] = values[len(values)-1:]
	}
	for _, f := range r.fields[:r.count] {
		set(string(f.key), string(f.value))
	}
	set(event.HeaderID, id)
	set(event.HeaderSource, source)
	set(event.HeaderReceived, d.received.UTC().Format(time.RFC3339Nano))
	switch {
	case d.span != nil:
		set(event.HeaderTraceparent, d.span.Traceparent())
	case len(r.traceparent) > 0:
		set(event.HeaderTraceparent, string(r.traceparent))
	}
	if len(r.encoding) > 0 {
		set("Content-Encoding", string(r.encoding))
	}
	return &nats.Msg{Subject: subject, Header: header, Data: append([]byte(nil), r.body...)}
}

// seconds reads a timestamp header: 0 for what is missing, zero, negative or not a number of seconds.
func seconds(header []byte) int64 {
	if len(header) == 0 || len(header) > 11 { // 11 digits last until the year 5138
		return 0
	}
	n, err := strconv.ParseInt(string(header), 10, 64)
	if err != nil || header[0] == '+' {
		return 0
	}
	return max(n, 0)
}
