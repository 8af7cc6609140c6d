package stream

import "time"

// window bounds how many copies are on their way at once, to what NATS acknowledges in two seconds. More would be
// acknowledged only after their senders were told to come back, who then send all of it again.
type window struct {
	out       int     // copies on their way
	perSecond float64 // acknowledgements
}

const (
	smallestWindow = 512
	windowSeconds  = 2
	lostAfter      = windowSeconds * time.Second // a copy without an answer for so long is not on its way any more
)

func (w *window) room() int {
	return max(0, max(smallestWindow, int(windowSeconds*w.perSecond))-w.out)
}

func (w *window) left()     { w.out++ }
func (w *window) answered() { w.out = max(0, w.out-1) }

// recount sets what is on its way, and counts what was acknowledged since the last time.
func (w *window) recount(out, acks int) {
	const sweepsInASecond = float64(time.Second / sweepEvery)
	w.out = out
	w.perSecond += float64(acks) - w.perSecond/sweepsInASecond
}

// isOut reports whether a copy of the message is on its way.
func (m *Outgoing) isOut(now time.Time) bool { return m.unanswered > 0 && now.Sub(m.left) < lostAfter }
