package ingest

import (
	"slices"
	"sync"
)

// queue is where deliveries wait to be taken in groups. It is safe for concurrent use; take is one goroutine's.
type queue struct {
	mu     sync.Mutex
	queued []*delivery // at most as many as the concurrent requests
	taken  uint64      // since the start
	closed bool
	ready  chan struct{} // holds a token when a group may go
}

func newQueue() queue { return queue{ready: make(chan struct{}, 1)} }

func (q *queue) release() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// take waits until a group may go and returns it, in the memory of the one before. It is empty at the end.
func (q *queue) take(group []*delivery) []*delivery {
	group = group[:0]
	for ended := false; len(group) == 0 && !ended; {
		<-q.ready
		group, ended = q.move(group)
	}
	return group
}

// move takes at most maxGroup of what is queued.
func (q *queue) move(group []*delivery) (_ []*delivery, ended bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(len(q.queued), maxGroup)
	group = append(group, q.queued[:n]...)
	q.queued = slices.Delete(q.queued, 0, n)
	q.taken += uint64(n)
	if len(q.queued) > 0 || q.closed {
		q.release()
	}
	return group, q.closed
}

// close ends take when nothing is queued any more.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.release()
}
