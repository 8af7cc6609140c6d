package ingest

import (
	"context"
	"sync"
	"time"

	"github.com/sluicehq/sluice/pkg/seen"
)

// maxMarks bounds how many marks wait to be written. At the bound a mark is dropped: its identity is then known to
// the stream's duplicate window alone, until the memory is refilled from the stream.
const maxMarks = 16 * maxGroup

// gatherMarks is how long marks gather: nobody waits for them.
const gatherMarks = 5 * time.Millisecond

// marks writes down what is stored, behind the answers: between an acknowledgement and its mark the stream's duplicate
// window knows the identity.
type marks struct {
	memory  Seen
	metrics *metrics
	queue   chan seen.Mark
	done    sync.WaitGroup
}

func newMarks(memory Seen, m *metrics) *marks {
	w := &marks{memory: memory, metrics: m, queue: make(chan seen.Mark, maxMarks)}
	w.done.Go(w.write)
	return w
}

// add queues a mark. It never blocks.
func (w *marks) add(m seen.Mark) {
	select {
	case w.queue <- m:
	default:
		w.missed(m)
	}
}

func (w *marks) write() {
	batch := make([]seen.Mark, 0, maxGroup)
	for first := range w.queue {
		if len(w.queue) < maxGroup {
			time.Sleep(gatherMarks)
		}
		batch = append(batch[:0], first)
		for more := min(len(w.queue), maxGroup-1); more > 0; more-- {
			batch = append(batch, <-w.queue)
		}
		w.flush(batch)
	}
}

func (w *marks) flush(batch []seen.Mark) {
	begin := time.Now()
	err := w.memory.Mark(context.Background(), batch)
	w.metrics.marked(time.Since(begin), err)
	if err != nil { // the memory knows by itself what it lacks
		w.metrics.marksMissed.Add(float64(len(batch)))
	}
}

// missed counts a mark that was not even tried, and tells a memory that can be refilled where its gap begins.
func (w *marks) missed(lost seen.Mark) {
	w.metrics.marksMissed.Inc()
	if m, refillable := w.memory.(interface{ Missed(since time.Time) }); refillable {
		m.Missed(lost.Stored)
	}
}

// close writes what is queued and returns.
func (w *marks) close() {
	close(w.queue)
	w.done.Wait()
}
