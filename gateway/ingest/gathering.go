package ingest

import "time"

// patience bounds how long a delivery waits for others to share its round trips with.
const patience = 2 * time.Millisecond

// gathering is the queue of the committer. A group goes when it is as large as what is out: nobody waits when nothing is,
// and under load half of the requests gather while the other half is in flight, so that many share a round trip, which
// costs nearly the same for one and for a hundred.
type gathering struct {
	queue
	done   uint64      // answered
	enough *time.Timer // makes a group go that has gathered for long enough
}

func newGathering() *gathering {
	g := &gathering{queue: newQueue()}
	g.enough = time.AfterFunc(patience, g.release)
	return g
}

// out is how many are taken and not answered.
func (g *gathering) out() int { return int(g.taken - g.done) }

// put queues a delivery. It never blocks.
func (g *gathering) put(d *delivery) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.queued = append(g.queued, d)
	switch {
	case len(g.queued) >= g.out():
		g.release()
	case len(g.queued) == 1:
		g.enough.Reset(patience)
	}
}

// answered notes that one of what was taken is not out any more.
func (g *gathering) answered() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.done++
	if len(g.queued) > 0 && len(g.queued) >= g.out() {
		g.release()
	}
}

// pulse says how many deliveries wait for their answer, and how many have had one.
func (g *gathering) pulse() (waiting int, answered uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.queued) + g.out(), g.done
}

// close ends take when nothing is queued any more.
func (g *gathering) close() {
	g.enough.Stop()
	g.queue.close()
}
