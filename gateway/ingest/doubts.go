package ingest

import (
	"sync"
	"time"

	"github.com/sluicehq/sluice/internal/stream"
)

// doubts has what was given up in doubt looked up in the stream, where it may lie without a mark: a NATS that hung
// stores what it had received when it goes on. The look-ups are refills of the memory; they begin at once, come again
// with pauses that double, and end when the stream's duplicate window has passed over the last doubt.
type doubts struct {
	memory Seen
	again  time.Duration // the first pause

	mu    sync.Mutex
	since time.Time // when the earliest that no look-up covers was published; zero when all are covered
	last  time.Time // when the last doubt came up

	woken chan struct{} // holds a token when there is a new doubt
	quit  chan struct{}
	done  sync.WaitGroup
}

// lookUpAgain is how long a NATS that came back is given to store what it has received, at first.
const lookUpAgain = 2 * time.Second

func newDoubts(memory Seen) *doubts {
	d := &doubts{memory: memory, again: lookUpAgain, woken: make(chan struct{}, 1), quit: make(chan struct{})}
	d.done.Go(d.run)
	return d
}

// add notes a doubt about something that was published at that time. It never blocks.
func (d *doubts) add(published time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last = time.Now()
	if d.since.IsZero() || published.Before(d.since) {
		d.since = published
	}
	select {
	case d.woken <- struct{}{}:
	default:
	}
}

func (d *doubts) run() {
	pause := d.again
	for {
		select {
		case <-d.woken:
			pause = d.again
		case <-d.due(pause):
			pause *= 2
		case <-d.quit:
			return
		}
		d.lookUp()
		if !d.rest() {
			return
		}
	}
}

// due is when to look again; never, where there is no doubt.
func (d *doubts) due(pause time.Duration) <-chan time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	if time.Since(d.last) > stream.DuplicateWindow {
		return nil
	}
	return time.After(pause)
}

// lookUp has the memory refilled with what was stored since the last time.
func (d *doubts) lookUp() {
	d.mu.Lock()
	since := d.since
	d.since = time.Now()
	d.mu.Unlock()
	d.memory.Missed(since)
}

// rest keeps a stream of doubts from becoming one of look-ups; it reports false at the end.
func (d *doubts) rest() bool {
	select {
	case <-time.After(d.again):
		return true
	case <-d.quit:
		return false
	}
}

// close ends the look-ups. Where they matter the memory is refilled at the next start.
func (d *doubts) close() {
	close(d.quit)
	d.done.Wait()
}
