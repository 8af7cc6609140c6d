// Package event is the vocabulary of Sluice: what an event is, its name, and its subjects and message headers. It
// imports only the standard library, so that every other package can import it.
package event

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Message headers, in addition to the sender's own, which are kept verbatim.
const (
	HeaderID          = "Nats-Msg-Id"     // the event's identity, a copy's own id; JetStream deduplicates on it
	HeaderSource      = "Sluice-Source"   // the sender: "zorio"
	HeaderReceived    = "Sluice-Received" // when the gateway took it: RFC 3339, nanoseconds, UTC
	HeaderTraceparent = "traceparent"     // W3C trace context: of the gateway where it makes traces, else as the sender sent it
)

// Event is one authentic webhook as it is stored in the stream, or a copy of it for one team; see [Event.Copy].
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
	Replay   string              // the replay that this copy belongs to; empty for the event itself and its retries
	Attempt  int                 // which attempt of this team this is, counted from 1; 0 outside a worker
	Failures []Failure           // the attempts before that failed, the oldest first; of many only the first and the last
}

// ErrSubject means that a subject is not that of an event or of a copy of one.
var ErrSubject = errors.New("not the subject of an event")

// Parse makes an Event of a stored message. The Event keeps header and body, it does not copy them. Sequence is that of
// a copy's original; of an event itself only the stream knows it. It returns an error wrapping [ErrSubject] when the
// subject is neither an event's nor a copy's; missing or malformed headers leave their fields zero.
func Parse(subject string, header map[string][]string, body []byte) (*Event, error) {
	source, name, ok := splitSubject(subject)
	if !ok {
		return nil, fmt.Errorf("%w: %q", ErrSubject, subject)
	}
	e := &Event{Source: source, Name: name, Identity: first(header, HeaderID), Header: header, Body: body}
	if received, err := time.Parse(time.RFC3339Nano, first(header, HeaderReceived)); err == nil {
		e.Received = received
	}
	if !strings.HasPrefix(subject, eventsPrefix) {
		e.readCopy()
	}
	e.Delivery = DeliveryOf(e.Identity)
	return e, nil
}

func first(header map[string][]string, key string) string {
	if values := header[key]; len(values) > 0 {
		return values[0]
	}
	return ""
}
