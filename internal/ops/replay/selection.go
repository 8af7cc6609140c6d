// Package replay sends stored events again to one team, to a URL, or to a file. Other teams get nothing.
//
// A replay is surveyed first ([Selection.Survey]), entered into the [Journal] with who asked for what, and run by [Do],
// which writes down how far it is, so that it can be stopped and resumed.
package replay

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

// Selection says which events are meant: those that are all of what is set.
type Selection struct {
	Events   []string  `json:"events,omitempty"`   // patterns of event names, one of which matches
	Since    time.Time `json:"since,omitzero"`     // stored then or later
	Until    time.Time `json:"until,omitzero"`     // stored before
	From     uint64    `json:"from,omitempty"`     // sequences in EVENTS, both inclusive
	To       uint64    `json:"to,omitempty"`       //
	Delivery string    `json:"delivery,omitempty"` // the sender's delivery id

	Archive Archive `json:"-"` // where the events are read from instead of the stream; nil: the stream

	only []uint64 // sequences, in order; nil: all
}

// Archive keeps events for longer than the stream.
type Archive interface {
	// Read calls take for each event within the times and sequences of a selection, in the order of their sequences, and
	// ends with its first error. Times are those at which the gateway took the events. What the selection says beside it,
	// an Archive may leave to who reads.
	Read(ctx context.Context, s Selection, headersOnly bool, take func(*event.Event, time.Time) error) error
}

// stored is an event and when it was stored.
type stored struct {
	*event.Event
	at time.Time
}

var errEnd = errors.New("the range ends here")

// read calls take for each selected event in the order of the stream, and counts what is there and is no event.
func (s *Selection) read(ctx context.Context, js jetstream.JetStream, headersOnly bool, take func(stored) error) (foreign int, err error) {
	if s.Archive != nil {
		return 0, s.Archive.Read(ctx, *s, headersOnly, func(e *event.Event, at time.Time) error {
			if !s.matches(e, at) {
				return nil
			}
			return take(stored{e, at})
		})
	}
	err = stream.Read(ctx, js, stream.Events, s.where(headersOnly), func(m *jetstream.RawStreamMsg) error {
		if !s.Until.IsZero() && !m.Time.Before(s.Until) {
			return errEnd
		}
		e, err := event.Parse(m.Subject, m.Header, m.Data)
		if err != nil {
			foreign++
			return nil
		}
		e.Sequence = m.Sequence
		if !s.matches(e, m.Time) {
			return nil
		}
		return take(stored{e, m.Time})
	})
	if errors.Is(err, errEnd) {
		err = nil
	}
	return foreign, err
}

// where leaves several patterns to matches: NATS refuses those that overlap, and reading everything is as fast.
func (s *Selection) where(headersOnly bool) stream.Range {
	r := stream.Range{From: s.From, Since: s.Since, To: s.To, HeadersOnly: headersOnly}
	if len(s.Events) == 1 {
		r.Filters = []string{event.Filter(s.Events[0])}
	}
	return r
}

func (s *Selection) matches(e *event.Event, at time.Time) bool {
	named := len(s.Events) == 0 || slices.ContainsFunc(s.Events, func(pattern string) bool { return event.Match(pattern, e.Name) })
	if _, meant := slices.BinarySearch(s.only, e.Sequence); s.only != nil && !meant {
		return false
	}
	return named && (s.Delivery == "" || s.Delivery == e.Delivery) && !at.Before(s.Since)
}

// Missing tells the events that a team has not handled from those that it has, and returns the former.
type Missing func(context.Context, []*event.Event) ([]*event.Event, error)

// Survey is what a selection amounts to now.
type Survey struct {
	Events      int       `json:"events"`
	Handled     int       `json:"handled"`           // of Events; 0 where it is not known
	First, Last uint64    `json:"-"`                 // sequences in EVENTS
	Foreign     int       `json:"foreign,omitempty"` // messages that are no events, and are left out
	Begin       time.Time `json:"begin"`             // when the first of them was stored
	End         time.Time `json:"end"`               // when the last of them was stored
}

const surveyBatch = 500

// Survey counts the selected events, and those that are handled unless missing is nil. It reads headers alone.
func (s Selection) Survey(ctx context.Context, js jetstream.JetStream, missing Missing) (v Survey, err error) {
	var batch []*event.Event
	ask := func() error {
		if missing == nil || len(batch) == 0 {
			return nil
		}
		left, err := missing(ctx, batch)
		v.Handled += len(batch) - len(left)
		batch = batch[:0]
		return err
	}
	v.Foreign, err = s.read(ctx, js, true, func(e stored) error {
		if v.Events == 0 {
			v.First, v.Begin = e.Sequence, e.at
		}
		v.Events, v.Last, v.End = v.Events+1, e.Sequence, e.at
		if missing == nil {
			return nil
		}
		if batch = append(batch, e.Event); len(batch) < surveyBatch {
			return nil
		}
		return ask()
	})
	return v, errors.Join(err, ask())
}
