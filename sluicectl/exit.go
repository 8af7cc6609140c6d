package main

import (
	"errors"
	"fmt"

	"github.com/sluicehq/sluice/internal/ops/dead"
	"github.com/sluicehq/sluice/internal/ops/quarantine"
	"github.com/sluicehq/sluice/internal/ops/replay"
	"github.com/sluicehq/sluice/internal/stream"
)

// How sluicectl ends.
const (
	exitDone    = 0
	exitFailed  = 1
	exitMisused = 2
	exitNothing = 3
	exitNoNATS  = 4

	exitDegraded = 5
)

const exitCodes = `Exit codes: 0 done, 1 failed or not confirmed, 2 wrong arguments, 3 nothing found, 4 NATS is not reachable, 5 degraded (ready).`

// errDegraded says that a process works, and that not all is well with it.
var errDegraded = errors.New("degraded")

// errNothing says that what was asked about is not there.
var errNothing = errors.New("nothing found")

// nothing is an errNothing in words of its own.
func nothing(format string, v ...any) error { return alias{fmt.Errorf(format, v...), errNothing} }

// misused says that the arguments make no sense.
func misused(format string, v ...any) error { return alias{fmt.Errorf(format, v...), errMisused} }

var errMisused = errors.New("misused")

// alias reads as one error and is another too.
type alias struct{ error, is error }

func (a alias) Error() string   { return a.error.Error() }
func (a alias) Unwrap() []error { return []error{a.error, a.is} }

// exitCode is the one table from an error to how the process ends. What goes wrong before a command begins is wrong
// with the arguments.
func exitCode(err error, reached bool) int {
	switch {
	case err == nil:
		return exitDone
	case !reached, errors.Is(err, errMisused):
		return exitMisused
	case errors.Is(err, errNothing):
		return exitNothing
	case errors.Is(err, stream.ErrUnreachable):
		return exitNoNATS
	case errors.Is(err, errDegraded):
		return exitDegraded
	}
	return exitFailed
}

// notFound lets what a package does not find be nothing found.
func notFound(err error) error {
	for _, one := range []error{dead.ErrNotFound, replay.ErrNotFound, quarantine.ErrNotFound} {
		if errors.Is(err, one) {
			return alias{err, errNothing}
		}
	}
	return err
}

// unknown says that what was named is not there at all: an empty answer would read as all clear, for programs too.
func unknown(err error) error { return alias{err, errUnknown} }

var errUnknown = errors.New("unknown")

func isUnknown(err error) bool { return errors.Is(err, errUnknown) }
