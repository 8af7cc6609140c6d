package worker

import (
	"sync"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
)

// stuck counts the handlers that still run although their time limit is over. It is safe for concurrent use.
type stuck struct {
	mu    sync.Mutex
	count int
	since time.Time // when the first of them was found, or the last of them returned
}

// ignores is how long a handler may run after its context has ended before it counts as stuck.
const ignores = 10 * time.Second

const stuckRemedy = "pass the handler's context to whatever it waits for; restart the process to free its slots, the events are handled again"

func (s *stuck) add(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count == 0 || s.count+n == 0 {
		s.since = time.Now()
	}
	s.count += n
}

func (s *stuck) state() (count int, since time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count, s.since
}

// watchOver counts a handler as stuck when it does not finish; done is to be called when it did.
func (w *worker) watchOver(e *event.Event) (done func()) {
	found := make(chan struct{})
	late := time.AfterFunc(w.settings.Timeout+w.ignores, func() {
		defer close(found)
		w.stuck.add(1)
		w.log.Error("a handler still runs although its time limit is over: it occupies a slot until it returns", "event", e.Name, "delivery", e.Delivery, "remedy", stuckRemedy)
	})
	return func() {
		if !late.Stop() {
			<-found
			w.stuck.add(-1)
		}
	}
}
