package worker

import (
	"context"
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
// probe, another event each time: the first that succeeds opens it. It is safe for concurrent use.
type gate struct {
	changed func(down) // told of every shutting and opening, one after the other
	stopped chan struct{}
	probes  chan struct{} // those who wait take from it in the order they came

	mu        sync.Mutex
	epoch     int // grows with every shutting and opening
	row       int // first attempts that have failed since the last success
	down      down
	opened    chan struct{} // closed when a shut gate opens
	notBefore time.Time     // no probe before; a handler has asked for it
}

// down is why the gate is shut, and since when it is so; without a cause it is open.
type down struct {
	since time.Time
	cause error
}

func newGate(changed func(down)) *gate {
	return &gate{changed: changed, stopped: make(chan struct{}), probes: make(chan struct{}), down: down{since: time.Now()}}
}

// pass waits until an attempt may be made. It returns when that was, for passed and failed, and false when the gate is
// stopped or ctx has ended.
func (g *gate) pass(ctx context.Context) (epoch int, ok bool) {
	for {
		g.mu.Lock()
		epoch, opened := g.epoch, g.opened
		open := g.down.cause == nil
		g.mu.Unlock()
		if open {
			return epoch, ctx.Err() == nil && !g.isStopped()
		}
		select {
		case <-opened:
		case <-g.probes:
			return epoch, true
		case <-g.stopped:
			return 0, false
		case <-ctx.Done():
			return 0, false
		}
	}
}

// succeeded opens the gate.
func (g *gate) succeeded() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.row = 0
	if g.down.cause == nil {
		return
	}
	g.epoch++
	g.down = down{since: time.Now()}
	close(g.opened)
	g.changed(g.down)
}

// failed notes that an attempt failed that had passed in an epoch, and reports whether that counts against its event:
// not while the world is down, nor when it was while the attempt was made. first says that it was the event's first
// attempt: only those are evidence against the world, because an event that fails again and again has been seen to fail
// while others succeeded.
func (g *gate) failed(epoch int, first bool, cause error) (counts bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.down.cause != nil || epoch != g.epoch {
		return false
	}
	if first {
		g.row++
	}
	if g.row < downAfter {
		return true
	}
	g.shut(cause)
	return false
}

// unavailable shuts the gate on a handler's word, for a time at least.
func (g *gate) unavailable(after time.Duration, cause error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if until := time.Now().Add(after); until.After(g.notBefore) {
		g.notBefore = until
	}
	if g.down.cause == nil {
		g.shut(cause)
	}
}

func (g *gate) shut(cause error) {
	g.epoch++
	g.row = 0
	g.down = down{since: time.Now(), cause: cause}
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
		select {
		case g.probes <- struct{}{}:
		case <-opened:
			return
		case <-g.stopped:
			return
		}
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

// stop sends away who waits. It is called once.
func (g *gate) stop() { close(g.stopped) }

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
	w.log.Error("many different events fail in a row: holding them, without counting it against them, until one succeeds",
		"error", d.cause, "remedy", worldRemedy)
}

const worldRemedy = "nothing is lost and no attempt is used up: mend what the handler depends on, such as its database; one event is tried every few seconds"

func (w *worker) handlerHealth() telemetry.Health {
	d := w.gate.state()
	if d.cause == nil {
		return telemetry.Health{Status: telemetry.OK, Since: d.since}
	}
	return telemetry.Health{Status: telemetry.Degraded, Since: d.since, Detail: d.cause.Error(), Remedy: worldRemedy}
}
