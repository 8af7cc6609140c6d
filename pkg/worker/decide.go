package worker

import (
	"errors"
	"fmt"
	"time"
)

// Permanent makes an error final: the event is given up at once and goes to DEAD.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

type permanentError struct{ error }

func (e *permanentError) Unwrap() error { return e.error }

// IsPermanent reports whether an event that was answered with err is given up at once, for tests of handlers.
func IsPermanent(err error) bool {
	var final *permanentError
	return errors.As(err, &final)
}

// RetryAfter makes an error wait for d, not less and not more, before the next attempt, which counts like any other.
func RetryAfter(d time.Duration, err error) error {
	if err == nil {
		err = fmt.Errorf("asked to come back after %s", d)
	}
	return &laterError{err, d}
}

type laterError struct {
	error
	after time.Duration
}

func (e *laterError) Unwrap() error { return e.error }

// panicError is a panic of a handler.
type panicError struct{ cause any }

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.cause) }

// policy says how often and how soon an event is tried.
type policy struct {
	attempts    int
	least, most time.Duration // the longest pause after the first attempt, and after any
}

// outcome is what becomes of an event after an attempt.
type outcome struct {
	kind   kind
	pause  time.Duration // before the next attempt
	reason string        // why it is given up
}

type kind int

const (
	done kind = iota
	retry
	dead
)

// Reasons in the header Sluice-Reason of a dead letter.
const (
	ReasonPermanent = "permanent" // the handler said so
	ReasonExhausted = "exhausted" // its attempts were used up
)

// decide is the outcome of an attempt, counted from 1. draw is a number in [0, 1) that spreads the pauses of events
// that failed together.
func decide(attempt int, err error, p policy, draw float64) outcome {
	var final *permanentError
	var later *laterError
	switch {
	case err == nil:
		return outcome{kind: done}
	case errors.As(err, &final):
		return outcome{kind: dead, reason: ReasonPermanent}
	case attempt >= p.attempts:
		return outcome{kind: dead, reason: ReasonExhausted}
	case errors.As(err, &later):
		return outcome{kind: retry, pause: max(later.after, 0)}
	}
	return outcome{kind: retry, pause: time.Duration(draw * float64(p.ceiling(attempt)))}
}

// ceiling is the longest pause after an attempt: it doubles until it is the most ("full jitter" of the AWS
// Architecture Blog's "Exponential Backoff And Jitter" draws the pause between nothing and this).
func (p policy) ceiling(attempt int) time.Duration {
	ceiling := p.least
	for range attempt - 1 {
		if ceiling >= p.most/2 {
			return p.most
		}
		ceiling *= 2
	}
	return min(ceiling, p.most)
}
