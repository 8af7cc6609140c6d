package worker

import (
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/tracing"
	"github.com/sluicehq/sluice/pkg/event"
)

// inFlight is an event that this process has taken and not settled yet.
type inFlight struct {
	msg    jetstream.Msg
	event  *event.Event // its Attempt is the one to be made
	from   *intake
	origin string // the message: its stream, sequence and time, "EVENTS.42.dp8wz1mvp8g"
	again  bool   // it was given out before
	taken  time.Time

	note  string      // the handler's word about its last attempt
	noted atomic.Bool // that its handler has begun
	begun int         // how often it had, without returning, before this process took it

	span  tracing.Span // of the last attempt; nil where nothing is traced, or its handler has not begun
	ended time.Time    // when that did

	waited  bool // during an outage
	tried   int  // attempts that were made while it is in flight; only the last one counts
	excused int  // how often it tripped the breaker by saying so
}

func newInFlight(from *intake, msg jetstream.Msg) (*inFlight, error) {
	e, err := event.Parse(msg.Subject(), msg.Headers(), msg.Data())
	if err != nil {
		return nil, err
	}
	meta, err := msg.Metadata()
	if err != nil {
		return nil, err
	}
	if e.Sequence == 0 {
		e.Sequence = meta.Sequence.Stream
	}
	e.Attempt++ // of those that have failed, by the copy's headers
	return &inFlight{
		msg: msg, event: e, from: from, origin: originOf(meta),
		again: meta.NumDelivered > 1, taken: time.Now(),
	}, nil
}

// originOf names a message among all that there ever were: a stream that is made anew counts from 1 again, while copies of
// what the old one had still wait.
func originOf(m *jetstream.MsgMetadata) string {
	return fmt.Sprintf("%s.%d.%s", m.Stream, m.Sequence.Stream, strconv.FormatInt(m.Timestamp.UnixNano(), 36))
}
