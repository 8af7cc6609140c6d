package stream

import (
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

// Outgoing is a message on its way into a stream. It must not be changed, and Msg not be read, until it is settled;
// after that Msg may be nil.
type Outgoing struct {
	Msg      *nats.Msg // with a Nats-Msg-Id header, which makes sending it again harmless; Reply is the publisher's
	Deadline time.Time // from then on it is given up

	// Once says not to send it again, neither after a refusal that may pass nor after silence: it has somewhere else to go. A
	// second copy in the hands of a NATS that hangs for longer than [DuplicateWindow] is stored beside the first.
	Once bool

	// Settle is called once, on a goroutine of the publisher's: with a nil error the message is stored as durably as
	// the stream stores; the other errors are those of this package. After ErrInDoubt it is called again, with a nil
	// error, when the acknowledgement comes within [DuplicateWindow] all the same. It must not block.
	Settle func(Ack, error)

	begun      time.Time // when it was published
	token      uint64
	copies     int // how many were sent
	unanswered int // and how many of these may still be acknowledged
	refusals   int // how many times in a row JetStream said no
	queued     bool
	left       time.Time     // when the last copy was sent
	again      time.Time     // when to send it again
	pause      time.Duration // before that, which doubles
	reason     error         // why it was not stored so far
}

// How a message without an acknowledgement is sent again: with pauses that double, and are spread.
const (
	ackWait      = 500 * time.Millisecond // silence for this long means that message or answer were lost
	firstPause   = 40 * time.Millisecond  // a planned change of leader takes 30 to 90 ms
	longestPause = 500 * time.Millisecond // once somebody answers
	maxRefusals  = 3                      // the next leader may take what this one refuses
)

// resentMark stands in a reply subject between the token and the number of the copy, from the second one on.
const resentMark = "-"

// leave notes that a copy is being sent.
func (m *Outgoing) leave(inbox string, now time.Time) {
	m.Msg.Reply = inbox + strconv.FormatUint(m.token, 36)
	if m.copies > 0 {
		m.Msg.Reply += resentMark + strconv.Itoa(m.copies)
	}
	m.again = now.Add(spread(ackWait << min(m.copies, 2)))
	m.left = now
	m.copies++
	m.unanswered++
}

// refused notes why a copy was not taken. It reports whether to give up, which is at once where JetStream refuses
// everything, or where the message has somewhere else to go.
func (m *Outgoing) refused(reason error, now time.Time, everything bool) (giveUp bool) {
	m.reason = reason
	m.pause = min(max(2*m.pause, firstPause), longestPause)
	m.again = now.Add(spread(m.pause))
	switch {
	case isUnstorable(reason), m.Once:
		return true
	case isRefusal(reason):
		m.refusals++
		return everything || m.refusals == maxRefusals
	}
	return false
}

// spread moves a pause by up to a quarter of it: what was refused together does not come again together.
func spread(pause time.Duration) time.Duration {
	return pause*3/4 + rand.N(pause/2)
}
