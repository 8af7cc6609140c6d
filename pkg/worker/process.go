package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
)

// settle decides what becomes of an event after an attempt, and carries it out. It reports false when the attempt did
// not count, because of an outage or because the process stops: the event stays in flight.
func (w *worker) settle(ctx context.Context, h *inFlight, epoch int, err error, took time.Duration) (settled bool) {
	var o outcome
	defer func() {
		if !settled {
			o.kind = notCounted
			w.takeBackStart(h)
		}
		if h.span != nil {
			w.traceOutcome(h, o, err)
		}
	}()
	if err != nil && ctx.Err() != nil { // the stop was the failure
		return false
	}
	o = decide(h.event.Attempt, err, w.settings.policy(), rand.Float64())
	if !w.counts(ctx, h, epoch, o, err) {
		w.metrics.attempted(outcome{kind: notCounted, class: o.class}, took)
		return false
	}
	w.metrics.attempted(o, took)
	w.report(h.event, o, err, took)
	if w.carryOut(ctx, h, o, err) {
		w.remember(h, o, err, took)
	}
	return true
}

// counts tells the circuit breaker what became of an attempt, and reports whether it counts.
func (w *worker) counts(ctx context.Context, h *inFlight, epoch int, o outcome, err error) bool {
	h.tried++
	switch o.class {
	case succeeded:
		w.breaker.succeeded()
	case failed, panicked, timeout:
		return w.breaker.failed(epoch, h.event.Attempt == 1 && !h.waited, err) && (o.kind != dead || w.breaker.confirms(ctx, epoch))
	case unavailable:
		if h.excused >= maxExcused {
			return true
		}
		if tripped := w.breaker.unavailable(o.asked, err); tripped {
			h.excused++
		}
		return false
	}
	return true // the others say nothing about an outage
}

// maxExcused is how often one event may trip the breaker by its own word. It was reset in between, so that others
// have succeeded: an event that says so again and again is the one to blame.
const maxExcused = 3

// attempt calls the handler, within the time limit.
func (w *worker) attempt(ctx context.Context, h *inFlight) (err error) {
	if err := w.noteStart(ctx, h); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, noteKey{}, &h.note), w.settings.Timeout)
	defer cancel()
	if w.tracer != nil {
		ctx = w.traceAttempt(ctx, h)
		defer func() { h.ended = time.Now() }()
	}
	defer w.watchOver(h.event)()
	defer func() {
		if cause := recover(); cause != nil {
			err = &panicError{cause, panickedAt()}
			w.log.Error("the handler panicked", "event", h.event.Name, "delivery", h.event.Delivery, "error", err, "stack", string(debug.Stack()))
		}
	}()
	if err = w.handle(ctx, h.event); err != nil && ctx.Err() == context.DeadlineExceeded {
		return fmt.Errorf("%w of %s: %w", errTimeout, w.settings.Timeout, err)
	}
	return err
}

var errTimeout = errors.New("not done within the time limit (SLUICE_TIMEOUT)")

// carryOut says the last word about an event, or puts it where it waits to be tried again; false when the event stays. A
// word that is lost costs a repetition.
func (w *worker) carryOut(ctx context.Context, h *inFlight, o outcome, cause error) (said bool) {
	var err error
	switch o.kind {
	case retry:
		err = w.postpone(ctx, h, o.pause, cause)
	case dead:
		err = w.deadLetter(ctx, h, o.reason, cause)
	}
	if err != nil {
		w.log.Error("cannot store the copy of an event that failed: the event stays and is handled again", "event", h.event.Name, "delivery", h.event.Delivery, "error", err)
		_ = h.msg.NakWithDelay(storeAgain)
		return false
	}
	if o.kind == dead {
		_ = h.msg.TermWithReason(o.reason)
		return true
	}
	_ = h.msg.Ack()
	return true
}

// report logs what became of an attempt: failures always, successes at debug.
func (w *worker) report(e *event.Event, o outcome, err error, took time.Duration) {
	if o.kind == done && !w.log.Enabled(context.Background(), slog.LevelDebug) { // a tenth of what an event costs here
		return
	}
	line := w.log.With("event", e.Name, "delivery", e.Delivery, "sequence", e.Sequence, "attempt", e.Attempt, "took", took)
	switch o.kind {
	case done:
		line.Debug("processed")
	case retry:
		line.Warn("failed, will be retried", "error", err, "pause", o.pause)
	case dead:
		line.Error("dead-lettered", "error", err, "reason", o.reason)
	}
}
