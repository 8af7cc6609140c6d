// Package history keeps what teams did with events, and operators with dead letters, when that is over: the streams
// RETRY, REPLAY and DEAD know only what is still open.
//
// It lies in the stream HISTORY, bounded in age and bytes, on a subject for each team and page of [pageSize] sequences of
// EVENTS, so that an event's history is found at once and the stream has few subjects. A message is what one process of a
// team had to tell within a second: of events that went well at once a range of sequences, a few bytes an event; of
// others each attempt.
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
	Skipped   Outcome = "skipped"  // the team had no use for it
	Dead      Outcome = "dead"     // given up
	Redriven  Outcome = "redriven" // its dead letter was sent back to the team
	Dropped   Outcome = "dropped"  // its dead letter was removed for good
)

// Entry is what became of an event in a team, or of its dead letter by an operator's hand.
type Entry struct {
	Team     string          `json:"-"`
	Sequence uint64          `json:"sequence"`           // of the event in EVENTS
	Identity string          `json:"identity,omitempty"` // of the event; not known of what went well at once
	At       time.Time       `json:"at"`
	Outcome  Outcome         `json:"outcome"`
	Attempts int             `json:"attempts,omitempty"` // how many it took
	Took     float64         `json:"took_ms,omitempty"`  // the last attempt, in milliseconds
	Failures []event.Failure `json:"failures,omitempty"` // the attempts that failed
	Reason   string          `json:"reason,omitempty"`   // why it was given up
	Replay   string          `json:"replay,omitempty"`   // the replay that the copy belonged to
	Redriven []uint64        `json:"redriven,omitempty"` // the sequences in DEAD that the copy had before
	Letter   uint64          `json:"letter,omitempty"`   // the sequence in DEAD of what was redriven or dropped
	By       string          `json:"by,omitempty"`       // who redrove or dropped it, user@host
	Note     string          `json:"note,omitempty"`     // what the handler said about it
}

// plain reports whether a range tells all about an entry.
func (e *Entry) plain() bool {
	return (e.Outcome == Processed || e.Outcome == Skipped) && e.Attempts <= 1 && len(e.Failures) == 0 && len(e.Redriven) == 0
}

const pageSize = 4096

func subject(team string, sequence uint64) string {
	return fmt.Sprintf("history.%s.%d", team, sequence/pageSize)
}

// page is a message's content.
type page struct {
	At   time.Time `json:"at"`
	Done []span    `json:"done,omitempty"`
	Told []Entry   `json:"told,omitempty"`
}

// span are events that ended in the same way.
type span struct {
	end
	Events string `json:"events"` // "0-12 15": behind the first of the page
}

type end struct {
	Outcome Outcome `json:"outcome"`
	Replay  string  `json:"replay,omitempty"`
	Note    string  `json:"note,omitempty"`
}

// ranges joins numbers, in order, to "0-12 15".
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

// numbers calls take for each number of ranges. What is no number of a page is passed over.
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
