// Package source holds what differs between the senders of webhooks: a file each, a [Source] each. The path of a
// request knows no sender by name.
package source

import (
	"time"

	"github.com/sluicehq/sluice/pkg/signature"
)

// Source is one sender's contract.
type Source struct {
	Name string // as it stands in subjects and headers

	// HeaderPrefix begins the names of the sender's own headers. They are stored verbatim; one that comes twice, or in
	// a trailer, is refused, because two readers could disagree about it.
	HeaderPrefix string

	HeaderTimestamp string        // seconds since 1970, UTC
	Tolerance       time.Duration // how far the timestamp may be from now, in either direction
	HeaderDelivery  string        // the delivery id
	HeaderSignature string

	// Plausible reports whether a signature header has the form of one. One that has not signs nothing, whatever the body.
	Plausible func(header []byte) bool

	// Verify reports whether a signature header signs the body, and under which of the keys. Its hexadecimal digits
	// are signature.Hex of the header.
	Verify func(keys *signature.Keys, header, body []byte) (which int, ok bool)

	// EventName finds the event's name in an authentic body. An error, which says why, makes it unroutable.
	EventName func(body []byte) (string, error)

	Answers Answers

	Patience time.Duration // an answer that takes longer is a failure to the sender
	GivesUp  int64         // after so many failures in a row the sender sends nothing more to the URL
}

// Answers are the words that the sender knows, to the byte.
type Answers struct{ OK, Duplicate, Stale, Invalid Answer }

// Answer is a status and a plain-text body.
type Answer struct {
	Status int
	Text   string
}
