// Package finding is the result of a check: whether something is right, and what to do if it is not.
package finding

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
	Level  Level  `json:"level"`
	Check  string `json:"check"`            // what was looked at, a word or two
	Detail string `json:"detail"`           // what was found
	Remedy string `json:"remedy,omitempty"` // what to do, unless it is OK
}

// List collects findings.
type List []Finding

// OK adds that something is as it should be.
func (l *List) OK(check, detail string) { *l = append(*l, Finding{OK, check, detail, ""}) }

// Warn adds something that works and should be looked at.
func (l *List) Warn(check, detail, remedy string) {
	*l = append(*l, Finding{Warn, check, detail, remedy})
}

// Fail adds something that does not work.
func (l *List) Fail(check, detail, remedy string) {
	*l = append(*l, Finding{Fail, check, detail, remedy})
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
