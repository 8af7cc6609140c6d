package ingest

import (
	"context"
	"sync"
	"time"

	"github.com/sluicehq/sluice/gateway/seen"
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
	quit    chan struct{}
	done    sync.WaitGroup
}

func newMarks(memory Seen, m *metrics) *marks {
	w := &marks{memory: memory, metrics: m, queue: make(chan seen.Mark, maxMarks), quit: make(chan struct{})}
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
	for stopping := false; !stopping; {
		select {
		case first := <-w.queue:
			if len(w.queue) < maxGroup {
				time.Sleep(gatherMarks)
			}
			batch = append(batch[:0], first)
		case <-w.quit:
			stopping, batch = true, batch[:0]
		}
		for more := len(w.queue); more > 0; more-- {
			if batch = append(batch, <-w.queue); len(batch) == maxGroup {
				w.flush(batch)
				batch = batch[:0]
			}
		}
		w.flush(batch)
	}
}

func (w *marks) flush(batch []seen.Mark) {
	if len(batch) == 0 {
		return
	}
	begin := time.Now()
	err := w.memory.Mark(context.Background(), batch)
	w.metrics.marked(time.Since(begin), err)
	if err != nil { // the memory knows by itself what it lacks
		w.metrics.marksMissed.Add(float64(len(batch)))
	}
}

// missed counts a mark that was not even tried, and tells the memory where its gap begins.
func (w *marks) missed(lost seen.Mark) {
	w.metrics.marksMissed.Inc()
	w.memory.Missed(lost.Stored)
}

// close writes what is queued and returns. A mark that comes later, with an acknowledgement after the last answer, is
// not written: the memory is refilled at the next start.
func (w *marks) close() {
	close(w.quit)
	w.done.Wait()
}
