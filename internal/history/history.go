// Package history records what teams did with events, and what operators did with dead letters. The streams RETRY,
// REPLAY and DEAD do not: they only have events that are still pending.
//
// The history is in the stream HISTORY, which is bounded in age and bytes. A subject stands for a team and a page of
// [pageSize] sequences of EVENTS: so an event's history is found at once, and the stream has few subjects. A message has
// what one process of a team did within a second. Events that succeeded at the first attempt are a range of sequences, a
// few bytes each. Other events have an entry each, with all attempts.
package history

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
)

// Outcome is how something ended.
type Outcome string

// The outcomes.
const (
	Processed Outcome = "processed"
	Skipped   Outcome = "skipped"  // the team did not need it
	Dead      Outcome = "dead"     // dead-lettered
	Redriven  Outcome = "redriven" // its dead letter was sent back to the team
	Dropped   Outcome = "dropped"  // its dead letter was removed for good
)

// Entry is how an event ended in a team, or what an operator did with its dead letter.
type Entry struct {
	Team     string          `json:"-"`
	Sequence uint64          `json:"sequence"`           // of the event in EVENTS
	Identity string          `json:"identity,omitempty"` // of the event; unknown if the first attempt succeeded
	At       time.Time       `json:"at"`
	Outcome  Outcome         `json:"outcome"`
	Attempts int             `json:"attempts,omitempty"` // number of attempts
	Took     float64         `json:"took_ms,omitempty"`  // duration of the last attempt, in milliseconds
	Failures []event.Failure `json:"failures,omitempty"` // failed attempts
	Reason   string          `json:"reason,omitempty"`   // why it was dead-lettered
	Replay   string          `json:"replay,omitempty"`   // the replay that the copy belonged to
	Redriven []uint64        `json:"redriven,omitempty"` // earlier sequences in DEAD, of letters that were redriven
	Letter   uint64          `json:"letter,omitempty"`   // sequence in DEAD of the letter that was redriven or dropped
	By       string          `json:"by,omitempty"`       // who redrove or dropped it, user@host
	Note     string          `json:"note,omitempty"`     // a note of the handler
}

// plain reports whether a span can stand for the entry, without loss.
func (e *Entry) plain() bool {
	return (e.Outcome == Processed || e.Outcome == Skipped) && e.Attempts <= 1 && len(e.Failures) == 0 && len(e.Redriven) == 0
}

const pageSize = 4096

func subject(team string, sequence uint64) string {
	return fmt.Sprintf("history.%s.%d", team, sequence/pageSize)
}

// page is the content of a message.
type page struct {
	At      time.Time `json:"at"`
	Done    []span    `json:"done,omitempty"`
	Entries []Entry   `json:"told,omitempty"`
}

// span are events that ended in the same way.
type span struct {
	end
	Events string `json:"events"` // such as "0-12 15", counted from the first of the page
}

type end struct {
	Outcome Outcome `json:"outcome"`
	Replay  string  `json:"replay,omitempty"`
	Note    string  `json:"note,omitempty"`
}

// ranges writes sorted numbers as "0-12 15".
func ranges(sorted []uint16) string {
	var text strings.Builder
	for i := 0; i < len(sorted); {
		last := i
		for last+1 < len(sorted) && sorted[last+1] <= sorted[last]+1 {
			last++
		}
		if text.Len() > 0 {
			text.WriteByte(' ')
		}
		text.WriteString(strconv.Itoa(int(sorted[i])))
		if sorted[last] > sorted[i] {
			text.WriteString("-" + strconv.Itoa(int(sorted[last])))
		}
		i = last + 1
	}
	return text.String()
}

// numbers calls take for each number in ranges. It skips what is not a number of a page.
func numbers(ranges string, take func(n uint64)) {
	for one := range strings.FieldsSeq(ranges) {
		from, to, isRange := strings.Cut(one, "-")
		if !isRange {
			to = from
		}
		first, err := strconv.ParseUint(from, 10, 64)
		last, failed := strconv.ParseUint(to, 10, 64)
		if err != nil || failed != nil || last >= pageSize {
			continue
		}
		for n := first; n <= last; n++ {
			take(n)
		}
	}
}
