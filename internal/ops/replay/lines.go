package replay

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// Lines is the target of a replay to a file: one JSON object a line.
type Lines struct{ Out io.Writer }

// Line is an event as a line. Base64 is the body's bytes as they came, which Signature is of; Body is the same as JSON,
// for programs to read, where it is JSON: without white space between its parts.
type Line struct {
	Sequence  uint64          `json:"sequence"`
	Received  time.Time       `json:"received"`
	Event     string          `json:"event"`
	Delivery  string          `json:"delivery"`
	Signature string          `json:"signature,omitempty"` // as the sender wrote it
	Body      json.RawMessage `json:"body,omitempty"`
	Base64    []byte          `json:"body_base64,omitempty"`
}

// NewLine makes the line of an event.
func NewLine(e *event.Event) Line {
	l := Line{Sequence: e.Sequence, Received: e.Received, Event: e.Name, Delivery: e.Delivery, Base64: e.Body}
	if signed := e.Header[zorio.HeaderSignature]; len(signed) > 0 {
		l.Signature = signed[0]
	}
	if json.Valid(e.Body) {
		l.Body = e.Body
	}
	return l
}

// Deliver writes a batch.
func (l Lines) Deliver(_ context.Context, batch []*event.Event) (Outcome, error) {
	encoder := json.NewEncoder(l.Out)
	encoder.SetEscapeHTML(false)
	for _, e := range batch {
		if err := encoder.Encode(NewLine(e)); err != nil {
			return Outcome{}, err
		}
	}
	return Outcome{Replayed: len(batch)}, nil
}
