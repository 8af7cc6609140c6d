package replay

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"strings"
	"time"
)

// Entry is the journal's word about a replay: who, when, what, and how far it is.
type Entry struct {
	ID          string    `json:"id"`
	By          string    `json:"by"` // user@host
	Started     time.Time `json:"started"`
	Updated     time.Time `json:"updated"` // while it runs, every half second
	State       State     `json:"state"`
	Error       string    `json:"error,omitempty"` // why it failed
	Team        string    `json:"team,omitempty"`
	URL         string    `json:"url,omitempty"` // instead of a team
	Selection   Selection `json:"selection"`
	Archive     string    `json:"archive,omitempty"` // the place of the files that are read instead of the stream
	OnlyMissing bool      `json:"only_missing,omitempty"`
	Rate        float64   `json:"rate"` // events a second; 0: as fast as they are stored
	Events      int       `json:"events"`
	First       uint64    `json:"first"` // sequences in EVENTS of what was found at the start
	Last        uint64    `json:"last"`
	Progress    Progress  `json:"progress"`
	Left        []uint64  `json:"left,omitempty"` // sequences that the URL did not take, and that a resume tries first
	Owner       string    `json:"owner"`          // the process that runs it
}

// Target is the team or the URL, for people.
func (e *Entry) Target() string { return cmp.Or(e.Team, e.URL) }

// Resumable says why there is nothing to go on with.
func (e *Entry) Resumable() error {
	switch e.State {
	case Done:
		return fmt.Errorf("replay %s is done", e.ID)
	case Running:
		return fmt.Errorf("replay %s is running, started by %s: stop it first", e.ID, e.By)
	}
	return nil
}

// State is what a replay is doing.
type State string

// The states of a replay. All but Done can be resumed.
const (
	Running     State = "running"
	Done        State = "done"
	Stopped     State = "stopped"     // somebody asked for it
	Interrupted State = "interrupted" // its command was stopped, or killed
	Failed      State = "failed"
	Refused     State = "refused"    // all were brought to the URL, which did not take some
	Unreadable  State = "unreadable" // its entry is broken
)

// Progress is how far a replay is. Everything selected up to Sequence is settled.
type Progress struct {
	Sequence   uint64 `json:"sequence"`             // in EVENTS
	Replayed   int    `json:"replayed"`             // events that were brought to where they go
	Duplicates int    `json:"duplicates,omitempty"` // of Replayed; they had been there already
	Skipped    int    `json:"skipped,omitempty"`    // handled before, with OnlyMissing
	Refused    int    `json:"refused,omitempty"`    // not taken by the URL so far
}

// Settled is how many of the selected events need nothing more.
func (p Progress) Settled() int { return p.Replayed + p.Skipped }

// Tried is how many were brought to where they go, taken or not.
func (p Progress) Tried() int { return p.Settled() + p.Refused }

// passes are what is left to do: what was not taken, and what was not tried.
func (e *Entry) passes() (passes []Selection) {
	if len(e.Left) > 0 {
		again := e.Selection
		again.From, again.To, again.only = e.Left[0], e.Left[len(e.Left)-1], e.Left
		passes = append(passes, again)
	}
	rest := e.Selection
	rest.From, rest.To = max(e.First, e.Progress.Sequence+1), e.Last
	if rest.From <= rest.To {
		passes = append(passes, rest)
	}
	return passes
}

// silence is how long the entry of a replay that runs may lie unwritten before its process counts as killed.
const silence = 5 * time.Second

// lookAlive makes the entry of a process that was killed an interrupted one.
func (e *Entry) lookAlive(now time.Time) *Entry {
	if e.State == Running && now.Sub(e.Updated) > silence {
		e.State = Interrupted
	}
	return e
}

// newID sorts by time.
func newID(now time.Time) string {
	return now.UTC().Format("20060102-150405-") + strings.ToLower(rand.Text()[:4])
}
