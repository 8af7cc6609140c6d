package event

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// Headers of a dead letter that was redriven, and of its later copies.
const (
	HeaderRedriven = "Sluice-Redriven" // one value a time: the sequence in DEAD that it had
	HeaderHistory  = "Sluice-History"  // what failed before it was sent back, as in HeaderFailure
)

// maxHistory bounds how many lines are kept of what failed before; the oldest go.
const maxHistory = 3 * maxFailures

// Redrive returns the headers for a dead letter, by its sequence in DEAD, on its way back to its team, without a
// Nats-Msg-Id. Its attempts count from zero, its failed attempts become its history, and it still belongs to the replay
// that it came from.
func (e *Event) Redrive(dead uint64, at time.Time, by string) map[string][]string {
	fresh := *e
	fresh.Failures, fresh.Attempt = nil, 0
	header := fresh.Copy()
	lines := append(History(e.Header), e.failedSoFar()...)
	lines = append(lines, Failure{At: at.UTC(), Error: OneLine(fmt.Sprintf("redriven from DEAD #%d by %s", dead, by), maxError)})
	header[HeaderHistory] = failureLines(newest(lines))
	header[HeaderRedriven] = newest(append(slices.Clone(header[HeaderRedriven]), strconv.FormatUint(dead, 10)))
	maps.DeleteFunc(header, func(key string, _ []string) bool {
		return key == HeaderTeam || key == HeaderReason || key == HeaderError || key == HeaderFailed
	})
	return header
}

func newest[T any](all []T) []T { return all[max(0, len(all)-maxHistory):] }

// failedSoFar are the failures of a dead letter; of one without them, its last error.
func (e *Event) failedSoFar() []Failure {
	if len(e.Failures) > 0 || first(e.Header, HeaderError) == "" {
		return e.Failures
	}
	at, _ := time.Parse(time.RFC3339Nano, first(e.Header, HeaderFailed))
	return []Failure{{At: at, Error: first(e.Header, HeaderError)}}
}

// History returns the failures from before an event was redriven, oldest first, with an entry for each redrive.
func History(header map[string][]string) []Failure { return readFailures(header[HeaderHistory]) }

// Redriven reads the sequences in DEAD that an event had before, the oldest first.
func Redriven(header map[string][]string) (sequences []uint64) {
	for _, value := range header[HeaderRedriven] {
		if n, err := strconv.ParseUint(value, 10, 64); err == nil {
			sequences = append(sequences, n)
		}
	}
	return sequences
}
