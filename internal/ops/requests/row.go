// Package requests lists what came in, the newest first: events, from the stream EVENTS, and as far as the gateway keeps
// them the requests that became none, from the stream REFUSED. Nothing here scans a stream without a bound, and nothing
// takes a consumer: who may read messages may list.
package requests

import (
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/refused"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

// Accepted is the answer to a request that became an event.
const Accepted = "accepted"

// Row is one request.
type Row struct {
	Stream   string // EVENTS or REFUSED
	Sequence uint64 // in that
	Stored   time.Time
	Received time.Time // zero for an event that no gateway stored
	Source   string
	Event    string // of what became none: as its header says, which nobody has signed
	Answer   string // [Accepted], or one of [refused.Causes]
	Said     string // status and text
	Delivery string
	Size     int           // bytes of body that came
	Took     time.Duration // until it was stored, or answered; 0 where nobody knows
	Peer     string        // empty for events
}

// NewRow makes one of a message of either stream, and reports false for what is not Sluice's.
func NewRow(name string, m *jetstream.RawStreamMsg) (Row, bool) {
	if name == stream.Refused {
		r, ours := refused.Parse(m.Subject, m.Sequence, m.Time, m.Header, m.Data)
		if !ours {
			return Row{}, false
		}
		return Row{Stream: name, Sequence: r.Sequence, Stored: m.Time.UTC(), Received: r.Received, Source: r.Source, Event: r.Event,
			Answer: r.Cause, Said: r.Answer, Delivery: r.Delivery, Size: r.Size(), Took: r.Took, Peer: r.Peer}, true
	}
	e, err := event.Parse(m.Subject, m.Header, m.Data)
	if err != nil {
		return Row{}, false
	}
	row := Row{Stream: name, Sequence: m.Sequence, Stored: m.Time.UTC(), Received: e.Received, Source: e.Source, Event: e.Name,
		Answer: Accepted, Said: "200 OK", Delivery: e.Delivery, Size: len(m.Data)}
	if !e.Received.IsZero() {
		row.Took = max(0, m.Time.Sub(e.Received))
	}
	return row, true
}
