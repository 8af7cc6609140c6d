// Package workertest makes events for the tests of a team's handler, which need neither NATS nor a gateway.
package workertest

import (
	"fmt"
	"maps"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/signature"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// Secret signs the deliveries that events are made of here.
const Secret = "0123456789abcdefghijABCDEFGHIJ01"

// sequence is the place in EVENTS that the last event was given.
var sequence atomic.Uint64

// NewEvent returns what a worker gives a handler, at the first attempt, for a delivery of body: with the headers that
// Zorio sends and the gateway adds, and with a delivery id, an identity and a sequence that no other event has. To give
// a handler one delivery twice, pass it the same event twice. The event's name is the one in the body. Like
// [net/http/httptest.NewRequest] it panics where a test cannot go on: when the gateway could not route body.
func NewEvent(body string) *event.Event {
	name, err := zorio.EventName([]byte(body))
	if err != nil {
		panic(fmt.Sprintf("workertest.NewEvent(%q): %v: begin with {\"event\": \"pbx.call.hangup\", …", body, err))
	}
	return deliver(name, []byte(body))
}

// Sample is [NewEvent] of the sample body of one kind of event, such as pbx.call.hangup; see [zorio.Names].
func Sample(name string) *event.Event {
	body, known := zorio.Sample(name)
	if !known {
		panic(fmt.Sprintf("workertest.Sample(%q): there is no sample of that name: use one of %v", name, zorio.Names()))
	}
	return deliver(name, body)
}

// deliver does what the way through the gateway, the stream and the worker does.
func deliver(name string, body []byte) *event.Event {
	now, id := time.Now().UTC(), uuid.NewString()
	sent := zorio.Headers(Secret, name, id, now, body)
	sent.Del("Content-Type")
	header := map[string][]string{
		event.HeaderID:       {event.IdentityOf(id, signature.Hex(sent.Get(zorio.HeaderSignature)))},
		event.HeaderSource:   {zorio.Source},
		event.HeaderReceived: {now.Format(time.RFC3339Nano)},
	}
	maps.Copy(header, sent)
	e, err := event.Parse(event.Subject(zorio.Source, name), header, body)
	if err != nil {
		panic(err) // a name that zorio.EventName returns is a subject's
	}
	e.Sequence, e.Attempt = sequence.Add(1), 1
	return e
}
