package worker

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sluicehq/sluice/pkg/telemetry"
)

// downAfter is how many events in a row have to fail at their first attempt, with no success between, for the world to
// be down: a database that is away fails every event, and bad events are few among good ones. One event in a hundred
// that is bad looks so once in ten thousand million.
const downAfter = 5

// Pauses between the probes while the world is down. The longest is below the 5 s within which work has to begin again.
const (
	firstProbe = 500 * time.Millisecond
	lastProbe  = 4 * time.Second
)

// gate tells a world that is down from an event that is bad. It is open while events succeed. Once it is shut, what is
// held waits in front of it, nothing counts against an event, and from time to time one attempt is let through as a
// probe, another event each time: the first one that succeeds opens it. It is safe for concurrent use.
type gate struct {
	changed  func(down) // told of every shutting and opening, one after the other
	doubt    time.Duration
	stopped  chan struct{}
	stopping sync.Once

	mu        sync.Mutex
	epoch     int // grows with every shutting and opening
	row       int // fresh events that have failed since the last success
	down      down
	opened    chan struct{} // closed when a shut gate opens
	doubts    int           // failures that wait for it
	known     chan struct{} // closed at the next success or shutting: what failed before it is the world's fault or is not
	waiting   []*waiter     // in the order they came
	notBefore time.Time     // no probe before; a handler has asked for it
}

// down is why the gate is shut, and since when it is so; without a cause it is open.
type down struct {
	since time.Time
	cause error
	said  bool // by a handler, which knows; otherwise many different events have failed
}

// newGate is an open gate. A failure that would be an event's last is in doubt so long at most.
func newGate(changed func(down), doubt time.Duration) *gate {
	return &gate{changed: changed, doubt: doubt, stopped: make(chan struct{}), known: make(chan struct{}), down: down{since: time.Now()}}
}

// inDoubt is how long a last failure waits for others to show whose fault it is.
const inDoubt = 2 * time.Second

// waiter is an attempt in front of a shut gate.
type waiter struct {
	tried int // how often its event was tried while it is held
	turn  chan struct{}
}

// passed is how an attempt passed the gate.
type passed struct {
	waited bool // it was shut before
	probe  bool // it was shut, and this was who it let through
}

// pass waits until an attempt may be made of an event that was tried so often while it is held; false when the gate is
// stopped or ctx has ended.
func (g *gate) pass(ctx context.Context, tried int) (p passed, ok bool) {
	for ; ; p.waited = true {
		me := &waiter{tried: tried, turn: make(chan struct{})}
		opened := g.approach(me)
		if opened == nil {
			return p, ctx.Err() == nil && !g.isStopped()
		}
		select {
		case <-opened:
		case <-me.turn:
			return passed{waited: true, probe: true}, true
		case <-g.stopped:
			return p, false
		case <-ctx.Done():
			return p, false
		}
	}
}

// approach puts a waiter in front of the gate, and returns what opens it; nil when it is open.
func (g *gate) approach(me *waiter) (opened <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.down.cause == nil {
		return nil
	}
	g.waiting = append(g.waiting, me)
	return g.opened
}

// enter is asked when an attempt that passed begins, which may be much later. It returns when that is, for failed, and
// false when the gate has shut meanwhile.
func (g *gate) enter(p passed) (epoch int, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.epoch, p.probe || g.down.cause == nil
}

// succeeded opens the gate.
func (g *gate) succeeded() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.row = 0
	if g.doubts > 0 {
		g.tell()
	}
	if g.down.cause == nil {
		return
	}
	g.epoch++
	g.down, g.waiting = down{since: time.Now()}, nil
	close(g.opened)
	g.changed(g.down)
}

// failed notes that an attempt failed that had passed in an epoch, and reports whether that counts against its event:
// not while the world is down, nor when it was while the attempt was made. fresh says that the event was never tried
// before and never had to wait here: only that is evidence against the world, because an event that fails again and
// again has failed while others succeeded.
func (g *gate) failed(epoch int, fresh bool, cause error) (counts bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.down.cause != nil || epoch != g.epoch {
		return false
	}
	if fresh {
		g.row++
	}
	if g.row < downAfter {
		return true
	}
	g.shut(cause, false)
	return false
}

// tell ends the doubts about what has failed so far.
func (g *gate) tell() {
	close(g.known)
	g.known = make(chan struct{})
}

// confirms waits, after a failure in an epoch that would be an event's last, for what happens next: when events succeed,
// or nothing comes for a while, it was the event's own. It is not when the gate shuts, nor when it is stopped.
func (g *gate) confirms(ctx context.Context, epoch int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	known := g.known
	g.doubts++
	g.mu.Unlock()
	select {
	case <-known:
	case <-time.After(g.doubt):
	case <-g.stopped:
	case <-ctx.Done():
	}
	g.mu.Lock()
	g.doubts--
	return g.epoch == epoch && !g.isStopped()
}

// unavailable shuts the gate on a handler's word, for a time at least, and reports whether it was open.
func (g *gate) unavailable(after time.Duration, cause error) (shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if until := time.Now().Add(after); until.After(g.notBefore) {
		g.notBefore = until
	}
	if g.down.cause != nil {
		return false
	}
	g.shut(cause, true)
	return true
}

func (g *gate) shut(cause error, said bool) {
	g.epoch++
	g.row = 0
	g.tell()
	g.down = down{since: time.Now(), cause: cause, said: said}
	g.opened = make(chan struct{})
	go g.probe(g.opened)
	g.changed(g.down)
}

// probe lets one attempt through after each pause, until the gate opens or is stopped. It does not wait for what
// becomes of it: a probe that hangs must not keep the next one from finding the world up again.
func (g *gate) probe(opened <-chan struct{}) {
	for pause := firstProbe; ; pause = min(2*pause, lastProbe) {
		select {
		case <-time.After(max(pause, g.asked())):
		case <-opened:
			return
		case <-g.stopped:
			return
		}
		g.letOneThrough()
	}
}

// letOneThrough takes who was tried least, and of those who came last: a good event need not wait until every bad one
// before it was tried again.
func (g *gate) letOneThrough() {
	g.mu.Lock()
	defer g.mu.Unlock()
	next := -1
	for i, w := range g.waiting {
		if next < 0 || w.tried <= g.waiting[next].tried {
			next = i
		}
	}
	if next >= 0 {
		close(g.waiting[next].turn)
		g.waiting = slices.Delete(g.waiting, next, next+1)
	}
}

// asked is how long the world has asked to be left alone.
func (g *gate) asked() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return time.Until(g.notBefore)
}

// state is why and since when it is shut.
func (g *gate) state() down {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.down
}

// stop sends away who waits, for good.
func (g *gate) stop() { g.stopping.Do(func() { close(g.stopped) }) }

func (g *gate) isStopped() bool {
	select {
	case <-g.stopped:
		return true
	default:
		return false
	}
}

// gated says that the gate was shut or has opened.
func (w *worker) gated(d down) {
	w.metrics.gated(d)
	if d.cause == nil {
		w.log.Info("events succeed again: going on with what was held")
		return
	}
	w.log.Error("holding events, without counting it against them, until one succeeds", "because", d.why(), "error", d.cause, "remedy", w.worldRemedy())
}

func (d down) why() string {
	if d.said {
		return "the handler says that what it depends on is unavailable"
	}
	return fmt.Sprintf("%d different events failed in a row", downAfter)
}

// worldRemedy is what to do while the gate is shut.
func (w *worker) worldRemedy() string {
	return "nothing is lost and no attempt is used up: mend " + cmp.Or(w.needs, "what the handler depends on, such as its database") + "; one event is tried every few seconds"
}

func (w *worker) handlerHealth() telemetry.Health {
	if d := w.gate.state(); d.cause != nil {
		return telemetry.Health{Status: telemetry.Degraded, Since: d.since, Detail: fmt.Sprintf("%s: %v", d.why(), d.cause), Remedy: w.worldRemedy()}
	}
	if n, since := w.stuck.state(); n > 0 {
		return telemetry.Health{Status: telemetry.Degraded, Since: since, Remedy: stuckRemedy,
			Detail: fmt.Sprintf("%d of %d handlers go on although their time is over (SLUICE_TIMEOUT=%s): they hold their places until they return", n, w.settings.Concurrency, w.settings.Timeout)}
	}
	return telemetry.Health{Status: telemetry.OK, Since: w.okSince()}
}

// okSince is since when the handler is well.
func (w *worker) okSince() time.Time {
	since := w.gate.state().since
	if _, freed := w.stuck.state(); freed.After(since) {
		return freed
	}
	return since
}
