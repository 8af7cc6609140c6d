package worker

import (
	"context"
	"sync"
	"time"
)

// lanes run held events: those of one key in a lane of their own, one after the other; lanes beside each other, as
// many as there are slots. What they hold is bounded by tokens, so that a slow lane stops the fetching and not the
// memory.
type lanes struct {
	process func(ctx context.Context, h *held)
	slots   chan struct{}
	tokens  chan struct{}
	running sync.WaitGroup
	ctx     context.Context // of the handlers
	cancel  context.CancelFunc
	closing chan struct{}

	mu      sync.Mutex
	waiting map[string][]*held // by key; a key is there while its lane runs
	all     map[*held]struct{} // waiting or running
}

// heldPerSlot is how many events are held for each that is handled: enough to have the next one at hand, and to look
// past a lane that is busy.
const heldPerSlot = 16

func newLanes(concurrency int, heartbeat time.Duration, process func(context.Context, *held)) *lanes {
	l := &lanes{
		process: process, slots: make(chan struct{}, concurrency), tokens: make(chan struct{}, concurrency*heldPerSlot),
		closing: make(chan struct{}), waiting: map[string][]*held{}, all: map[*held]struct{}{},
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.running.Go(func() { l.keepInProgress(heartbeat) })
	return l
}

// room waits until there is room for an event, and returns for how many there is; 0 when ctx ended.
func (l *lanes) room(ctx context.Context) int {
	select {
	case l.tokens <- struct{}{}:
		<-l.tokens
		return cap(l.tokens) - len(l.tokens)
	case <-ctx.Done():
		return 0
	}
}

// add takes an event for which there is room.
func (l *lanes) add(key string, h *held) {
	l.tokens <- struct{}{}
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

func (l *lanes) next(key string) *held {
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

// one runs one event when a slot is free. What has not begun when the time of a stop is over is given back.
func (l *lanes) one(h *held) {
	defer l.forget(h)
	select {
	case l.slots <- struct{}{}:
		defer func() { <-l.slots }()
	case <-l.ctx.Done():
	}
	if l.ctx.Err() != nil {
		_ = h.msg.Nak()
		return
	}
	l.process(l.ctx, h)
}

func (l *lanes) forget(h *held) {
	l.mu.Lock()
	delete(l.all, h)
	l.mu.Unlock()
	<-l.tokens
}

// keepInProgress tells the server from time to time that what is held is not forgotten.
func (l *lanes) keepInProgress(heartbeat time.Duration) {
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-l.closing:
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

// held is how many events are waiting or running, and active how many are running.
func (l *lanes) held() int   { return len(l.tokens) }
func (l *lanes) active() int { return len(l.slots) }

// close lets what is held come to its end for the time of grace, then cancels what runs and gives back the rest.
func (l *lanes) close(grace time.Duration) {
	timer := time.AfterFunc(grace, l.cancel)
	defer timer.Stop()
	close(l.closing)
	l.running.Wait()
	l.cancel()
}
