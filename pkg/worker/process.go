package worker

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
)

// process makes one attempt and carries out what is decided.
func (w *worker) process(ctx context.Context, h *held) {
	begin := time.Now()
	err := w.attempt(ctx, h.event)
	took := time.Since(begin)
	if err != nil && ctx.Err() != nil { // the stop was the failure
		_ = h.msg.Nak()
		return
	}
	o := decide(h.event.Attempt, err, w.settings.policy(), rand.Float64())
	w.metrics.attempted(o, took)
	w.report(h.event, o, err, took)
	w.carryOut(ctx, h, o, err)
}

// errNoAttemptLeft ends an event that was taken more often than it may be tried: a process that it kills can't count.
var errNoAttemptLeft = errors.New("taken more often than it may be tried: earlier attempts ended without a word, with their process or their connection")

// attempt calls the handler, within the time limit.
func (w *worker) attempt(ctx context.Context, e *event.Event) (err error) {
	if e.Attempt > w.settings.Attempts {
		return errNoAttemptLeft
	}
	ctx, cancel := context.WithTimeout(ctx, w.settings.Timeout)
	defer cancel()
	defer func() {
		if cause := recover(); cause != nil {
			w.log.Error("the handler panics", "event", e.Name, "delivery", e.Delivery, "panic", cause, "stack", string(debug.Stack()))
			err = &panicError{cause}
		}
	}()
	return w.handle(ctx, e)
}

// carryOut says the last word about an event, or when to try it again. A word that is lost costs a repetition.
func (w *worker) carryOut(ctx context.Context, h *held, o outcome, cause error) {
	switch o.kind {
	case done:
		_ = h.msg.Ack()
	case retry:
		_ = h.msg.NakWithDelay(o.pause)
	case dead:
		if err := w.bury(ctx, h, o.reason, cause); err != nil {
			w.log.Error("cannot store a dead letter: the event stays and is tried again", "event", h.event.Name, "delivery", h.event.Delivery, "error", err)
			_ = h.msg.NakWithDelay(buryAgain)
			return
		}
		_ = h.msg.TermWithReason(o.reason)
	}
}

// report logs what became of an attempt: failures always, successes at debug.
func (w *worker) report(e *event.Event, o outcome, err error, took time.Duration) {
	line := w.log.With("event", e.Name, "delivery", e.Delivery, "sequence", e.Sequence, "attempt", e.Attempt, "took", took)
	switch o.kind {
	case done:
		line.Debug("processed")
	case retry:
		line.Warn("failed, trying again", "error", err, "pause", o.pause)
	case dead:
		line.Error("giving up: the event goes to DEAD", "error", err, "reason", o.reason)
	}
}
