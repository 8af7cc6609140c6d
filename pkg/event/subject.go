package event

import "strings"

// MaxName is the longest event name, in bytes.
const MaxName = 128

const eventsPrefix = "events."

// Subject is the subject of an event in the stream EVENTS: events.<source>.<name>.
func Subject(source, name string) string { return eventsPrefix + source + "." + name }

// QuarantineSubject is the subject of an authentic delivery in quarantine: quarantine.<source>.<reason>.
func QuarantineSubject(source, reason string) string { return "quarantine." + source + "." + reason }

// DeadSubject is the subject of a team's dead letter: dead.<team>.<source>.<name>.
func DeadSubject(team, source, name string) string { return "dead." + team + "." + source + "." + name }

// ReplaySubject is the subject of a replayed or redriven copy: replay.<team>.<source>.<name>.
func ReplaySubject(team, source, name string) string {
	return "replay." + team + "." + source + "." + name
}

// RetrySubject is the subject of an event that is due for a retry: retry.<team>.due.<source>.<name>.
func RetrySubject(team, source, name string) string {
	return "retry." + team + ".due." + source + "." + name
}

// WaitSubject is the subject of an event that waits for a retry: retry.<team>.wait.<id>.
func WaitSubject(team, id string) string { return "retry." + team + ".wait." + id }

// AgainSubject is [RetrySubject] in the stream of a team that has one of its own for its retries.
func AgainSubject(team, source, name string) string {
	return "again." + team + ".due." + source + "." + name
}

// AgainWaitSubject is [WaitSubject] in the stream of such a team.
func AgainWaitSubject(team, id string) string { return "again." + team + ".wait." + id }

// AgainFilter is [RetryFilter] in the stream of such a team.
func AgainFilter(team string) string { return "again." + team + ".due.>" }

// BegunSubject is where a worker counts its starts of a redelivered event: begun.<team>.<id>.
func BegunSubject(team, id string) string { return "begun." + team + "." + id }

// ReplayFilter matches the copies that are replayed to a team.
func ReplayFilter(team string) string { return "replay." + team + ".>" }

// RetryFilter matches the team's events that are due for a retry.
func RetryFilter(team string) string { return "retry." + team + ".due.>" }

// WaitFilter matches the team's events that wait for a retry.
func WaitFilter(team string) string { return WaitSubject(team, ">") }

// splitSubject finds source and name in the subject of an event or of a copy.
func splitSubject(subject string) (source, name string, ok bool) {
	tokens := strings.Split(subject, ".")
	switch skip := map[string]int{"events": 1, "replay": 2, "dead": 2, "retry": 3, "again": 3}[tokens[0]]; {
	case skip == 0 || len(tokens) < skip+2, skip == 3 && tokens[2] != "due":
		return "", "", false
	default:
		source, name = tokens[skip], strings.Join(tokens[skip+1:], ".")
	}
	return source, name, source != "" && ValidName(name)
}

// Filter is the subject that matches the events of one name pattern ("pbx.>", "pbx.call.*") from any source.
func Filter(pattern string) string { return "events.*." + pattern }

// ValidName reports whether name can be the tail of a subject: tokens of letters, digits, "_" and "-", joined by
// single dots, at most [MaxName] bytes in all.
func ValidName[T string | []byte](name T) bool {
	if len(name) == 0 || len(name) > MaxName {
		return false
	}
	empty := true // the token under the cursor has no character yet
	for i := range len(name) {
		switch c := name[i]; {
		case c == '.' && empty:
			return false
		case c == '.':
			empty = true
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-':
			empty = false
		default:
			return false
		}
	}
	return !empty
}

// ValidPattern reports whether pattern can stand in a [Filter]: an event name in which "*" may stand for one token,
// and ">" at the end for one or more.
func ValidPattern(pattern string) bool {
	tokens := strings.Split(pattern, ".")
	for i, token := range tokens {
		wildcard := token == "*" || token == ">" && i == len(tokens)-1
		if !wildcard && !ValidName(token) {
			return false
		}
	}
	return len(pattern) <= MaxName
}

// Match reports whether a subject or an event name is among those that a filter or a pattern means: "*" stands for one
// token, and ">" at the end for one or more. It is what NATS does; server.SubjectMatchesFilter would bring a server.
func Match(filter, subject string) bool {
	want, have := strings.Split(filter, "."), strings.Split(subject, ".")
	for i, token := range want {
		if token == ">" {
			return i < len(have)
		}
		if i >= len(have) || token != "*" && token != have[i] {
			return false
		}
	}
	return len(want) == len(have)
}
