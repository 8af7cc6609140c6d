package event

import (
	"strconv"
	"strings"
	"time"
)

// Headers of a copy of an event: one that waits for a retry, was dead-lettered, or is replayed. A copy has the event's
// headers too, but its own Nats-Msg-Id.
const (
	HeaderIdentity = "Sluice-Identity" // of the event
	HeaderSequence = "Sluice-Sequence" // of the event in EVENTS
	HeaderReplay   = "Sluice-Replay"   // the replay it belongs to, if any
	HeaderAttempts = "Sluice-Attempts" // how many attempts have failed
	HeaderFailure  = "Sluice-Failure"  // one value a failed attempt: when (RFC 3339, nanoseconds, UTC), a space, and the error
)

// Headers of a dead letter, in addition to those of a copy.
const (
	HeaderTeam   = "Sluice-Team"   // who gave it up
	HeaderReason = "Sluice-Reason" // [ReasonPermanent] or [ReasonExhausted]
	HeaderError  = "Sluice-Error"  // the last error, one line
	HeaderFailed = "Sluice-Failed" // when it was given up: RFC 3339, nanoseconds, UTC
)

// Why an event was dead-lettered.
const (
	ReasonPermanent = "permanent" // its handler said so
	ReasonExhausted = "exhausted" // its attempts were used up
)

// Reasons are all of them.
var Reasons = []string{ReasonPermanent, ReasonExhausted}

// Failure is an attempt that failed.
type Failure struct {
	At    time.Time
	Error string // one line
}

// What is kept of the failures of one event: the first and the last ones.
const (
	maxFailures = 20
	maxError    = 400 // bytes of each
)

// Copy returns new headers for a copy, without a Nats-Msg-Id: the caller sets one.
func (e *Event) Copy() map[string][]string {
	header := WithoutNats(e.Header)
	header[HeaderIdentity] = []string{e.Identity}
	header[HeaderSequence] = []string{strconv.FormatUint(e.Sequence, 10)}
	if e.Replay != "" {
		header[HeaderReplay] = []string{e.Replay}
	}
	e.writeFailures(header)
	return header
}

// WithoutNats returns a new map of the headers that are not NATS's own: those are about one message, its Nats-Msg-Id among
// them, and not about the event.
func WithoutNats(header map[string][]string) map[string][]string {
	kept := make(map[string][]string, len(header))
	for key, values := range header {
		if !strings.HasPrefix(key, "Nats-") {
			kept[key] = values
		}
	}
	return kept
}

// Failed returns the event with one more failed attempt. The error becomes one line.
func (e *Event) Failed(at time.Time, err error) *Event {
	failed := *e
	kept := e.Failures
	if len(kept) >= maxFailures { // the second goes
		kept = append(kept[:1:1], kept[2:]...)
	}
	failed.Failures = append(kept[:len(kept):len(kept)], Failure{At: at.UTC(), Error: OneLine(err.Error(), maxError)})
	return &failed
}

func (e *Event) writeFailures(header map[string][]string) {
	delete(header, HeaderAttempts)
	delete(header, HeaderFailure)
	if len(e.Failures) == 0 {
		return
	}
	header[HeaderAttempts] = []string{strconv.Itoa(e.Attempt)}
	header[HeaderFailure] = failureLines(e.Failures)
}

func failureLines(failures []Failure) []string {
	lines := make([]string, len(failures))
	for i, f := range failures {
		lines[i] = f.At.Format(time.RFC3339Nano) + " " + f.Error
	}
	return lines
}

// readCopy takes from the headers what only a copy has.
func (e *Event) readCopy() {
	e.Identity = first(e.Header, HeaderIdentity)
	e.Sequence, _ = strconv.ParseUint(first(e.Header, HeaderSequence), 10, 64)
	e.Replay = first(e.Header, HeaderReplay)
	e.Attempt, _ = strconv.Atoi(first(e.Header, HeaderAttempts))
	e.Failures = readFailures(e.Header[HeaderFailure])
}

func readFailures(lines []string) (failures []Failure) {
	for _, line := range lines {
		at, text, _ := strings.Cut(line, " ")
		if when, err := time.Parse(time.RFC3339Nano, at); err == nil {
			failures = append(failures, Failure{At: when, Error: text})
		}
	}
	return failures
}

// OneLine makes a text fit for a header: one line of valid UTF-8, at most max bytes.
func OneLine(text string, max int) string {
	text = strings.ToValidUTF8(strings.Join(strings.Fields(text), " "), "�")
	return strings.ToValidUTF8(text[:min(len(text), max)], "")
}
