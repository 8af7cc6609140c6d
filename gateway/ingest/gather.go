package ingest

import (
	"sync"
	"time"
)

// patience bounds how long a delivery waits for others to share its round trips with.
const patience = 2 * time.Millisecond

// gathering is where deliveries wait for the committer. A group goes when it is as large as what is still out, which
// halves what is inside between the two: nobody waits when nothing is out, and under load a round trip, which costs
// the same for one and for a hundred, is shared by many.
type gathering struct {
	mu     sync.Mutex
	queued []*delivery
	out    int // taken and not answered
	closed bool
	ready  chan struct{} // holds a token when a group may go
	enough *time.Timer
}

func newGathering() *gathering {
	g := &gathering{ready: make(chan struct{}, 1)}
	g.enough = time.AfterFunc(time.Hour, g.goNow)
	return g
}

// put queues a delivery. It never blocks: there are never more than may be inside.
func (g *gathering) put(d *delivery) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.queued = append(g.queued, d)
	switch {
	case len(g.queued) >= g.out:
		g.goNow()
	case len(g.queued) == 1:
		g.enough.Reset(patience)
	}
}

// answered notes that one of what was taken is not out any more.
func (g *gathering) answered() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.out--
	if len(g.queued) > 0 && len(g.queued) >= g.out {
		g.goNow()
	}
}

func (g *gathering) goNow() {
	select {
	case g.ready <- struct{}{}:
	default:
	}
}

// take waits for a group and returns at most max of what is queued, in the buffer given; false at the end.
func (g *gathering) take(group []*delivery, max int) ([]*delivery, bool) {
	for range g.ready {
		g.mu.Lock()
		n := min(len(g.queued), max)
		group = append(group[:0], g.queued[:n]...)
		left := copy(g.queued, g.queued[n:])
		clear(g.queued[left:])
		g.queued = g.queued[:left]
		g.out += n
		if left > 0 {
			g.goNow()
		}
		closed := g.closed
		g.mu.Unlock()
		if n > 0 || closed {
			return group, n > 0
		}
	}
	return nil, false
}

// close ends take once nothing is queued.
func (g *gathering) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	g.goNow()
}
