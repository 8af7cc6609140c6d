package replay

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
)

// Lines is the target of a replay to a file: one JSON object a line.
type Lines struct{ Out io.Writer }

// Line is an event as a line. Of Body and Base64 one is set: a body that is not JSON is base64.
type Line struct {
	Sequence uint64          `json:"sequence"`
	Received time.Time       `json:"received"`
	Event    string          `json:"event"`
	Delivery string          `json:"delivery"`
	Body     json.RawMessage `json:"body,omitempty"`
	Base64   []byte          `json:"body_base64,omitempty"`
}

// NewLine makes the line of an event. JSON stands in it without white space between its parts, and else as it came.
func NewLine(e *event.Event) Line {
	l := Line{Sequence: e.Sequence, Received: e.Received, Event: e.Name, Delivery: e.Delivery}
	if json.Valid(e.Body) {
		l.Body = e.Body
	} else {
		l.Base64 = e.Body
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
