package ingest

import (
	"slices"
	"sync"
	"time"
)

// patience bounds how long a delivery waits for others to share its round trips with.
const patience = 2 * time.Millisecond

// gathering is where deliveries wait for the committer. A group goes when it is as large as what is out: nobody waits
// when nothing is, and under load half of the requests gather while the other half is in flight, so that many
// share a round trip, which costs nearly the same for one and for a hundred. It is safe for concurrent use; take is
// one goroutine's.
type gathering struct {
	mu     sync.Mutex
	queued []*delivery // at most as many as the concurrent requests
	out    int         // taken and not answered
	done   uint64      // answered
	closed bool
	ready  chan struct{} // holds a token when a group may go
	enough *time.Timer   // makes one go that has gathered for long enough
}

func newGathering() *gathering {
	g := &gathering{ready: make(chan struct{}, 1)}
	g.enough = time.AfterFunc(patience, g.release)
	return g
}

// put queues a delivery. It never blocks.
func (g *gathering) put(d *delivery) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.queued = append(g.queued, d)
	switch {
	case len(g.queued) >= g.out:
		g.release()
	case len(g.queued) == 1:
		g.enough.Reset(patience)
	}
}

// answered notes that one of what was taken is not out any more.
func (g *gathering) answered() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.out--
	g.done++
	if len(g.queued) > 0 && len(g.queued) >= g.out {
		g.release()
	}
}

// pulse says how many deliveries wait for their answer, and how many have had one.
func (g *gathering) pulse() (waiting int, answered uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.queued) + g.out, g.done
}

func (g *gathering) release() {
	select {
	case g.ready <- struct{}{}:
	default:
	}
}

// take waits until a group may go and returns it, in the memory of the one before. It is empty at the end.
func (g *gathering) take(group []*delivery) []*delivery {
	group = group[:0]
	for ended := false; len(group) == 0 && !ended; {
		<-g.ready
		group, ended = g.move(group)
	}
	return group
}

// move takes at most maxGroup of what is queued.
func (g *gathering) move(group []*delivery) (_ []*delivery, ended bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := min(len(g.queued), maxGroup)
	group = append(group, g.queued[:n]...)
	g.queued = slices.Delete(g.queued, 0, n)
	g.out += n
	if len(g.queued) > 0 || g.closed {
		g.release()
	}
	return group, g.closed
}

// close ends take when nothing is queued any more.
func (g *gathering) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	g.enough.Stop()
	g.release()
}
