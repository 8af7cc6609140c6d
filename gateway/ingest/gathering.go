package ingest

import "time"

// patience bounds how long a delivery waits for others to share its round trips with.
const patience = 2 * time.Millisecond

// crowd is how many must have waited lately, for half of them to be worth waiting for.
const crowd = 16

// gathering is the queue of the committer. A group goes when it is as large as what is out: nobody waits when nothing is.
// In a crowd it goes when it is half of that: one half of the requests gathers while the other is in flight. So many share
// a round trip or a sync of the disk, which costs nearly the same for one and for a hundred.
type gathering struct {
	queue
	done   uint64      // answered
	peak   int         // the most that waited for their answer lately
	enough *time.Timer // makes a group go that has gathered for long enough
}

func newGathering() *gathering {
	g := &gathering{queue: newQueue()}
	g.enough = time.AfterFunc(patience, g.release)
	return g
}

// out is how many are taken and not answered.
func (g *gathering) out() int { return int(g.taken - g.done) }

func (g *gathering) waiting() int { return len(g.queued) + g.out() }

// put queues a delivery. It never blocks.
func (g *gathering) put(d *delivery) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.queued = append(g.queued, d)
	g.peak = max(g.peak, g.waiting())
	switch {
	case g.isEnough():
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
	if len(g.queued) > 0 && g.isEnough() {
		g.release()
	}
}

func (g *gathering) isEnough() bool {
	return len(g.queued) >= g.out() && (g.peak < crowd || 2*len(g.queued) >= g.peak)
}

// take waits until a group may go and returns it, in the memory of the one before. It is empty at the end. A crowd that is
// over is forgotten within some groups.
func (g *gathering) take(group []*delivery) []*delivery {
	group = g.queue.take(group)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.peak -= g.peak / 8
	return group
}

// pulse says how many deliveries wait for their answer, and how many have had one.
func (g *gathering) pulse() (waiting int, answered uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.waiting(), g.done
}

// close ends take when nothing is queued any more.
func (g *gathering) close() {
	g.enough.Stop()
	g.queue.close()
}
