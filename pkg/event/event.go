// Package event is the vocabulary of Sluice: what an event is, how it is named, and which subjects and
// message headers carry it. It depends on the standard library alone, so that everything else can depend on it.
package event

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Message headers, beside the sender's own, which travel verbatim.
const (
	HeaderID          = "Nats-Msg-Id"     // the event's identity; JetStream deduplicates on it
	HeaderSource      = "Sluice-Source"   // the sender: "zorio"
	HeaderReceived    = "Sluice-Received" // when the gateway took it: RFC 3339, nanoseconds, UTC
	HeaderTraceparent = "traceparent"     // W3C trace context, passed on as it came
)

// Event is one authentic webhook as it is stored in the stream.
//
// An Event is made once and then only read: handlers may share it between goroutines but must not change it.
type Event struct {
	Source   string              // the sender, "zorio"
	Name     string              // from the signed body, "pbx.call.hangup"
	Identity string              // what makes this delivery itself and no other; see [Identity]
	Delivery string              // the sender's delivery id, or the one derived for it
	Received time.Time           // when the gateway took it, UTC
	Header   map[string][]string // every message header, the sender's X-Zorio-* among them
	Body     []byte              // byte for byte as it came
	Sequence uint64              // its place in the stream EVENTS; 0 where unknown
	Attempt  int                 // which delivery to this team this is, counted from 1; 0 outside a worker
}

// ErrSubject says that a message does not lie on a subject of the form events.<source>.<name>.
var ErrSubject = errors.New("not the subject of an event")

// Parse makes an Event of a stored message. The Event keeps header and body, it does not copy them.
// It returns an error wrapping [ErrSubject] when the subject is not an event's; a missing or malformed
// Sluice-Received leaves Received zero.
func Parse(subject string, header map[string][]string, body []byte) (*Event, error) {
	rest, isEvent := strings.CutPrefix(subject, "events.")
	source, name, complete := strings.Cut(rest, ".")
	if !isEvent || !complete || !ValidName(name) {
		return nil, fmt.Errorf("%w: %q", ErrSubject, subject)
	}
	e := &Event{Source: source, Name: name, Identity: first(header, HeaderID), Header: header, Body: body}
	e.Delivery = DeliveryOf(e.Identity)
	if received, err := time.Parse(time.RFC3339Nano, first(header, HeaderReceived)); err == nil {
		e.Received = received
	}
	return e, nil
}

func first(header map[string][]string, key string) string {
	if values := header[key]; len(values) > 0 {
		return values[0]
	}
	return ""
}
