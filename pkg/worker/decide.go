package worker

import (
	"errors"
	"fmt"
	"path"
	"runtime"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
)

// Permanent makes an error final: the event is dead-lettered at once.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

type permanentError struct{ error }

func (e *permanentError) Unwrap() error { return e.error }

// IsPermanent reports whether err dead-letters its event at once. It is for tests of handlers.
func IsPermanent(err error) bool {
	var final *permanentError
	return errors.As(err, &final)
}

// RetryAfter sets the pause before the next attempt to d. The attempt counts like any other. Other events are not
// delayed.
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

// Unavailable reports an outage of something that the handler depends on. It trips the circuit breaker at once: the
// worker pauses, counts no attempt, and tries one event after d, or after its own pause if that is shorter. Use it when
// the handler is certain, such as for a 503 with a Retry-After. The worker recognises other outages by itself.
func Unavailable(d time.Duration, err error) error {
	if err == nil {
		err = fmt.Errorf("unavailable for %s", d)
	}
	return &unavailableError{err, d}
}

type unavailableError struct {
	error
	after time.Duration
}

func (e *unavailableError) Unwrap() error { return e.error }

// Skip is returned for an event that the team does not need. The event is acknowledged. Unlike nil, Skip does not tell
// the circuit breaker that the handler's dependencies work.
var Skip = errors.New("nothing to do for this team") //nolint:staticcheck // named as fs.SkipDir is: it is no failure

// panicError is a panic of a handler, and where it was: a file and a line.
type panicError struct {
	cause any
	at    string
}

func (e *panicError) Error() string { return fmt.Sprintf("panic at %s: %v", e.at, e.cause) }

// panickedAt is the place in a handler that panics, for the function that recovers it: the first that is not of Go's own
// library, where the handler may only have called it wrongly.
func panickedAt() string {
	callers := make([]uintptr, 64)
	frames := runtime.CallersFrames(callers[:runtime.Callers(3, callers)]) // the first is of the recovering function's caller
	at := ""
	for {
		f, more := frames.Next()
		outside := !strings.HasPrefix(f.Function, "runtime.")
		if place := fmt.Sprintf("%s:%d", path.Join(path.Base(path.Dir(f.File)), path.Base(f.File)), f.Line); outside && (at == "" || !isGos(f.Function)) {
			at = place
		}
		if !more || outside && !isGos(f.Function) {
			return at
		}
	}
}

// isGos reports whether a function is of Go's own library: its packages, unlike modules, have no dot before the first slash.
func isGos(function string) bool {
	first, _, isPath := strings.Cut(function, "/")
	return isPath && !strings.Contains(first, ".") || !isPath && !strings.HasPrefix(function, "main.")
}

// policy says how often and how soon an event is tried.
type policy struct {
	attempts    int
	least, most time.Duration // the longest pause after the first attempt, and after any
}

// outcome is what becomes of an event after an attempt.
type outcome struct {
	kind   kind
	class  class
	pause  time.Duration // before the next attempt
	asked  time.Duration // how long what is unavailable asks to be left alone
	reason string        // why it is given up
}

type kind string

const (
	done       kind = "processed"
	retry      kind = "failed" // and tried again
	dead       kind = "dead"
	notCounted kind = "not_counted" // failed during an outage
)

// class is what an attempt was like.
type class string

const (
	succeeded   class = "success"
	skipped     class = "skip"
	failed      class = "error"
	asked       class = "retry_after"
	unavailable class = "unavailable"
	permanent   class = "permanent"
	panicked    class = "panic"
	timeout     class = "timeout"
	died        class = "died" // the handler was not called
)

// decide is the outcome of an attempt, counted from 1. draw is a number in [0, 1) that spreads the pauses of events
// that failed together.
func decide(attempt int, err error, p policy, draw float64) outcome {
	o := outcome{class: classOf(err)}
	if o.class == died { // which may not be this event's fault: it is not given up before it was set apart
		p.attempts++
	}
	var later *laterError
	var away *unavailableError
	if errors.As(err, &away) {
		o.asked = max(away.after, 0)
	}
	switch {
	case o.class == succeeded || o.class == skipped:
		o.kind = done
	case o.class == permanent:
		o.kind, o.reason = dead, event.ReasonPermanent
	case attempt >= p.attempts:
		o.kind, o.reason = dead, event.ReasonExhausted
	case errors.As(err, &later):
		o.kind, o.pause = retry, max(later.after, 0)
	default:
		o.kind, o.pause = retry, time.Duration(draw*float64(p.ceiling(attempt)))
	}
	return o
}

func classOf(err error) class {
	var final *permanentError
	var later *laterError
	var away *unavailableError
	var panics *panicError
	switch {
	case err == nil:
		return succeeded
	case errors.Is(err, Skip):
		return skipped
	case errors.As(err, &final):
		return permanent
	case errors.As(err, &later):
		return asked
	case errors.As(err, &away):
		return unavailable
	case errors.As(err, &panics):
		return panicked
	case errors.Is(err, errTimeout):
		return timeout
	case errors.Is(err, errDied):
		return died
	}
	return failed
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
