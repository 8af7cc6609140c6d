package worker

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// lanes run events in flight: those of one key in a lane of their own, one after the other; lanes beside each other, as
// many as there are slots.
type lanes struct {
	breaker *breaker
	attempt func(ctx context.Context, h *inFlight) error
	settle  func(ctx context.Context, h *inFlight, epoch int, err error, took time.Duration) (settled bool)
	slots   chan struct{}
	running sync.WaitGroup
	beating sync.WaitGroup
	ctx     context.Context // of the handlers
	cancel  context.CancelFunc
	closing chan struct{}

	mu      sync.Mutex
	waiting map[string][]*inFlight // by key; a key is there while its lane runs
	all     map[*inFlight]struct{} // waiting or running
}

func newLanes(concurrency int, heartbeat time.Duration, w *worker) *lanes {
	l := &lanes{
		breaker: w.breaker, attempt: w.attempt, settle: w.settle, slots: make(chan struct{}, concurrency),
		closing: make(chan struct{}), waiting: map[string][]*inFlight{}, all: map[*inFlight]struct{}{},
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.beating.Go(func() { l.keepInProgress(heartbeat) })
	return l
}

// add takes an event. It never blocks: the intake it comes from has room for it.
func (l *lanes) add(key string, h *inFlight) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all[h] = struct{}{}
	if key == "" {
		l.running.Go(func() { l.one(h) })
		return
	}
	behind, busy := l.waiting[key]
	l.waiting[key] = append(behind, h)
	if !busy {
		l.running.Go(func() { l.lane(key) })
	}
}

// lane runs the events of one key until none is left.
func (l *lanes) lane(key string) {
	for h := l.next(key); h != nil; h = l.next(key) {
		l.one(h)
	}
}

func (l *lanes) next(key string) *inFlight {
	l.mu.Lock()
	defer l.mu.Unlock()
	behind := l.waiting[key]
	if len(behind) == 0 {
		delete(l.waiting, key)
		return nil
	}
	l.waiting[key] = behind[1:]
	return behind[0]
}

// one makes attempts at an event until one counts. What has not begun when the process stops is given back.
func (l *lanes) one(h *inFlight) {
	defer l.forget(h)
	for {
		epoch, ok := l.begin(h)
		if !ok {
			_ = h.msg.Nak()
			return
		}
		began := time.Now()
		err := l.attempt(l.ctx, h)
		took := time.Since(began)
		l.leave(h)
		if l.settle(l.ctx, h, epoch, err, took) {
			return
		}
	}
}

// begin waits for the circuit breaker and for a slot; false when the process stops. What was admitted is held back all the
// same if the breaker has tripped before there was a slot.
func (l *lanes) begin(h *inFlight) (epoch int, ok bool) {
	for {
		a, admitted := l.breaker.wait(l.ctx, h.tried)
		h.waited = h.waited || a.waited
		if !admitted || !l.enter(h) {
			return 0, false
		}
		if epoch, ok = l.breaker.admits(a); ok {
			return epoch, true
		}
		l.leave(h)
	}
}

// enter waits for a slot; false when the process stops. An intake with a share of the slots may not fill them all.
func (l *lanes) enter(h *inFlight) bool {
	if !l.take(h.from.share) {
		return false
	}
	if !l.take(l.slots) {
		give(h.from.share)
		return false
	}
	return true
}

func (l *lanes) leave(h *inFlight) {
	give(l.slots)
	give(h.from.share)
}

// take waits for a place among slots, of which nil has any number.
func (l *lanes) take(slots chan struct{}) bool {
	if slots == nil {
		return true
	}
	select {
	case slots <- struct{}{}:
		return true
	case <-l.closing:
		return false
	}
}

func give(slots chan struct{}) {
	if slots != nil {
		<-slots
	}
}

func (l *lanes) forget(h *inFlight) {
	l.mu.Lock()
	delete(l.all, h)
	l.mu.Unlock()
	h.from.release(1)
}

// keepInProgress tells the server from time to time that what is in flight is not forgotten.
func (l *lanes) keepInProgress(heartbeat time.Duration) {
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-tick.C:
		}
		l.mu.Lock()
		for h := range l.all {
			if time.Since(h.taken) > heartbeat/2 { // what is handled at once needs no word
				_ = h.msg.InProgress()
			}
		}
		l.mu.Unlock()
	}
}

// inFlight is how many events are waiting or running, and active how many are running.
func (l *lanes) inFlight() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.all)
}

func (l *lanes) active() int { return len(l.slots) }

// close gives back what has not begun, and waits for running handlers to finish for the time of grace. Then it cancels
// them, and returns what they hold on to even so: nobody waits for them any longer.
func (l *lanes) close(grace time.Duration) (left []*inFlight) {
	close(l.closing)
	l.breaker.stop()
	ended := make(chan struct{})
	go func() { l.running.Wait(); close(ended) }()
	if !within(grace, ended) {
		l.cancel()
		if !within(cancelWithin, ended) {
			left = l.stillHeld()
		}
	}
	l.cancel()
	l.beating.Wait()
	return left
}

// cancelWithin is how long a handler has to return when its context has ended because the process stops.
const cancelWithin = 500 * time.Millisecond

func within(d time.Duration, ended <-chan struct{}) bool {
	select {
	case <-ended:
		return true
	case <-time.After(d):
		return false
	}
}

func (l *lanes) stillHeld() []*inFlight {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Keys(l.all))
}
