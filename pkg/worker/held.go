package worker

import (
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/pkg/event"
)

// held is an event that this process has taken and not yet said its last word about.
type held struct {
	msg   jetstream.Msg
	event *event.Event
	taken time.Time
}

func newHeld(msg jetstream.Msg) (*held, error) {
	e, err := event.Parse(msg.Subject(), msg.Headers(), msg.Data())
	if err != nil {
		return nil, err
	}
	meta, err := msg.Metadata()
	if err != nil {
		return nil, err
	}
	e.Sequence, e.Attempt = meta.Sequence.Stream, int(min(meta.NumDelivered, 1<<30))
	return &held{msg: msg, event: e, taken: time.Now()}, nil
}
