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

// tripAfter is how many events in a row have to fail at their first attempt, with no success between, to be taken for an
// outage: a database that is away fails every event, and bad events are few among good ones. With one bad event in a
// hundred this happens by chance once in ten thousand million events.
const tripAfter = 5

// Pauses between the probes during an outage. The longest is below the 5 s within which work has to begin again.
const (
	firstProbe = 500 * time.Millisecond
	lastProbe  = 4 * time.Second
)

// breaker is a circuit breaker: it tells an outage of what the handler depends on from a bad event. While events succeed
// it lets every attempt through. When it has tripped, events in flight wait, no failure counts against an event, and from
// time to time one attempt is let through as a probe, of another event each time. The first success resets it. It is safe
// for concurrent use.
type breaker struct {
	changed  func(outage) // told each time it trips or is reset, one after the other
	patience time.Duration
	stopped  chan struct{}
	stopping sync.Once

	mu         sync.Mutex
	epoch      int // grows each time it trips or is reset
	row        int // fresh events that have failed since the last success
	outage     outage
	reset      chan struct{} // closed when it is reset
	confirming int           // last failures that wait for a verdict
	verdict    chan struct{} // closed at the next success or trip, which shows whose fault earlier failures were
	waiting    []*waiter     // in the order they came
	notBefore  time.Time     // no probe before; a handler has asked for it
}

// outage is why the breaker has tripped, and when; without a cause there is none, since then.
type outage struct {
	since    time.Time
	cause    error
	reported bool // by a handler, which knows; otherwise many different events have failed
}

// newBreaker is a breaker that has not tripped. A failure that would be an event's last waits for a verdict as long as
// patience.
func newBreaker(changed func(outage), patience time.Duration) *breaker {
	return &breaker{changed: changed, patience: patience, stopped: make(chan struct{}), verdict: make(chan struct{}), outage: outage{since: time.Now()}}
}

// confirmWithin is how long a last failure waits for others to show whose fault it is.
const confirmWithin = 2 * time.Second

// waiter is an attempt that waits during an outage.
type waiter struct {
	tried int // how often its event was tried while it is in flight
	turn  chan struct{}
}

// admission is how an attempt got past the breaker.
type admission struct {
	waited bool // during an outage
	probe  bool // it is a probe: the outage goes on
}

// wait returns when an attempt may be made of an event that was tried so often while it is in flight; false when the
// breaker is stopped or ctx has ended.
func (b *breaker) wait(ctx context.Context, tried int) (a admission, ok bool) {
	for ; ; a.waited = true {
		me := &waiter{tried: tried, turn: make(chan struct{})}
		reset := b.queue(me)
		if reset == nil {
			return a, ctx.Err() == nil && !b.isStopped()
		}
		select {
		case <-reset:
		case <-me.turn:
			return admission{waited: true, probe: true}, true
		case <-b.stopped:
			return a, false
		case <-ctx.Done():
			return a, false
		}
	}
}

// queue lets a waiter wait, and returns what ends the outage; nil when there is none.
func (b *breaker) queue(me *waiter) (reset <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.outage.cause == nil {
		return nil
	}
	b.waiting = append(b.waiting, me)
	return b.reset
}

// admits is asked when an admitted attempt begins, which may be much later. It returns the epoch, for failed, and false
// when the breaker has tripped meanwhile.
func (b *breaker) admits(a admission) (epoch int, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.epoch, a.probe || b.outage.cause == nil
}

// succeeded resets the breaker.
func (b *breaker) succeeded() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.row = 0
	if b.confirming > 0 {
		b.giveVerdict()
	}
	if b.outage.cause == nil {
		return
	}
	b.epoch++
	b.outage, b.waiting = outage{since: time.Now()}, nil
	close(b.reset)
	b.changed(b.outage)
}

// failed notes that an attempt failed that had begun in an epoch, and reports whether that counts against its event: not
// during an outage, nor when there was one while the attempt was made. fresh says that the event was never tried before
// and never had to wait here: only that is a sign of an outage, because an event that fails again and again has failed
// while others succeeded.
func (b *breaker) failed(epoch int, fresh bool, cause error) (counts bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.outage.cause != nil || epoch != b.epoch {
		return false
	}
	if fresh {
		b.row++
	}
	if b.row < tripAfter {
		return true
	}
	b.trip(cause, false)
	return false
}

// giveVerdict ends the wait of the last failures so far.
func (b *breaker) giveVerdict() {
	close(b.verdict)
	b.verdict = make(chan struct{})
}

// confirms waits, after a failure in an epoch that would be an event's last, for what happens next. When another event
// succeeds, or nothing happens for a while, the failure was the event's own. It was not when the breaker trips, nor when
// it is stopped.
func (b *breaker) confirms(ctx context.Context, epoch int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	verdict := b.verdict
	b.confirming++
	b.mu.Unlock()
	select {
	case <-verdict:
	case <-time.After(b.patience):
	case <-b.stopped:
	case <-ctx.Done():
	}
	b.mu.Lock()
	b.confirming--
	return b.epoch == epoch && !b.isStopped()
}

// unavailable trips the breaker on a handler's word, without a probe before that time, and reports whether it had not
// tripped yet.
func (b *breaker) unavailable(after time.Duration, cause error) (tripped bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if until := time.Now().Add(after); until.After(b.notBefore) {
		b.notBefore = until
	}
	if b.outage.cause != nil {
		return false
	}
	b.trip(cause, true)
	return true
}

func (b *breaker) trip(cause error, reported bool) {
	b.epoch++
	b.row = 0
	b.giveVerdict()
	b.outage = outage{since: time.Now(), cause: cause, reported: reported}
	b.reset = make(chan struct{})
	go b.probe(b.reset)
	b.changed(b.outage)
}

// probe lets one attempt through after each pause, until the breaker is reset or stopped. It does not wait for what
// becomes of it: a probe that hangs must not keep the next one from finding that the outage is over.
func (b *breaker) probe(reset <-chan struct{}) {
	for pause := firstProbe; ; pause = min(2*pause, lastProbe) {
		select {
		case <-time.After(max(pause, b.untilAllowed())):
		case <-reset:
			return
		case <-b.stopped:
			return
		}
		b.letOneThrough()
	}
}

// letOneThrough takes the event that was tried least, and of several the one that came last: a good event need not wait
// until every bad one before it was tried again.
func (b *breaker) letOneThrough() {
	b.mu.Lock()
	defer b.mu.Unlock()
	next := -1
	for i, w := range b.waiting {
		if next < 0 || w.tried <= b.waiting[next].tried {
			next = i
		}
	}
	if next >= 0 {
		close(b.waiting[next].turn)
		b.waiting = slices.Delete(b.waiting, next, next+1)
	}
}

// untilAllowed is how long no probe may be made, because a handler has asked for it.
func (b *breaker) untilAllowed() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return time.Until(b.notBefore)
}

// state is the outage, or that there is none.
func (b *breaker) state() outage {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.outage
}

// stop ends every wait, for good.
func (b *breaker) stop() { b.stopping.Do(func() { close(b.stopped) }) }

func (b *breaker) isStopped() bool {
	select {
	case <-b.stopped:
		return true
	default:
		return false
	}
}

// breakerChanged says that the breaker has tripped or was reset.
func (w *worker) breakerChanged(o outage) {
	w.metrics.breakerChanged(o)
	if o.cause == nil {
		w.log.Info("circuit breaker closed: events succeed again")
		return
	}
	w.log.Error("circuit breaker open: holding events until one succeeds, no attempt counts", "because", o.why(), "error", o.cause, "remedy", w.outageRemedy())
}

func (o outage) why() string {
	if o.reported {
		return "the handler reports that what it depends on is unavailable"
	}
	return fmt.Sprintf("%d different events failed in a row", tripAfter)
}

// outageRemedy is what to do during an outage.
func (w *worker) outageRemedy() string {
	return "repair " + cmp.Or(w.needs, "what the handler depends on, such as its database") + "; nothing is lost, no attempt is used up, and one event is tried every few seconds"
}

func (w *worker) handlerHealth() telemetry.Health {
	if o := w.breaker.state(); o.cause != nil {
		return telemetry.Health{Status: telemetry.Degraded, Since: o.since, Detail: fmt.Sprintf("%s: %v", o.why(), o.cause), Remedy: w.outageRemedy()}
	}
	if n, since := w.stuck.state(); n > 0 {
		return telemetry.Health{Status: telemetry.Degraded, Since: since, Remedy: stuckRemedy,
			Detail: fmt.Sprintf("%d of %d handlers still run although their time limit is over (SLUICE_TIMEOUT=%s); each occupies a slot until it returns", n, w.settings.Concurrency, w.settings.Timeout)}
	}
	return telemetry.Health{Status: telemetry.OK, Since: w.okSince()}
}

// okSince is since when the handler is well.
func (w *worker) okSince() time.Time {
	since := w.breaker.state().since
	if _, freed := w.stuck.state(); freed.After(since) {
		return freed
	}
	return since
}
