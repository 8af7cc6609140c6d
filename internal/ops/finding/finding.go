// Package finding is the result of a check: whether something is right, and what to do if it is not.
package finding

import "time"

// Level is how much a finding matters.
type Level string

// The levels, from the least.
const (
	OK   Level = "ok"
	Warn Level = "warn"
	Fail Level = "fail"
)

// Finding is the result of one check.
type Finding struct {
	Level   Level      `json:"level"`
	Check   string     `json:"check"`             // what was looked at, a word or two
	Detail  string     `json:"detail"`            // what was found
	Remedy  string     `json:"remedy,omitempty"`  // what to do, unless it is OK
	Since   *time.Time `json:"since,omitempty"`   // how long it has been so, where that is known
	Team    string     `json:"team,omitempty"`    // that it is about, if it is about one
	Command string     `json:"command,omitempty"` // that helps, or shows more
}

// List collects findings.
type List []Finding

// OK adds that something is as it should be.
func (l *List) OK(check, detail string) {
	*l = append(*l, Finding{Level: OK, Check: check, Detail: detail})
}

// Warn adds something that works and should be looked at.
func (l *List) Warn(check, detail, remedy string) {
	*l = append(*l, Finding{Level: Warn, Check: check, Detail: detail, Remedy: remedy})
}

// Fail adds something that does not work.
func (l *List) Fail(check, detail, remedy string) {
	*l = append(*l, Finding{Level: Fail, Check: check, Detail: detail, Remedy: remedy})
}

// About adds to the last finding which team it is about, which command helps, and since when it is so.
func (l List) About(team, command string, since *time.Time) {
	last := &l[len(l)-1]
	last.Team, last.Command, last.Since = team, command, since
}

// Failed reports whether any of them is a failure.
func (l List) Failed() bool {
	for _, f := range l {
		if f.Level == Fail {
			return true
		}
	}
	return false
}
