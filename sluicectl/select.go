package main

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
)

// checkPatterns refuses what can be no pattern of event names.
func checkPatterns(patterns []string) error {
	for _, pattern := range patterns {
		if !event.ValidPattern(pattern) {
			return misused("%q is no pattern of event names: use names such as pbx.call.hangup, with * for one part, or > at the end for all that follow", pattern)
		}
	}
	return nil
}

// words are a selection as people say it, "team pbx, reason exhausted".
type words []string

// add says what a flag was given; nothing where it was not.
func (w *words) add(name string, value any) {
	if text := fmt.Sprint(value); text != "" && text != "0" {
		*w = append(*w, strings.TrimSpace(name+" "+text))
	}
}

func (w *words) addEach(name string, values []string) {
	for _, value := range values {
		w.add(name, value)
	}
}

// or is the words, or what is meant without any.
func (w words) or(otherwise string) string { return cmp.Or(strings.Join(w, ", "), otherwise) }

// parseID tells a sequence in a stream from the sender's delivery id.
func parseID(id string) (sequence uint64, delivery string) {
	if n, err := strconv.ParseUint(id, 10, 64); err == nil && n > 0 {
		return n, ""
	}
	return 0, id
}

// How a time may be written, in the local time zone where it has none of its own.
var layouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"}

// parseTime reads a time, or a duration, which means so long ago. Empty is the zero time.
func parseTime(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range layouts {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t, nil
		}
	}
	if t, err := time.ParseInLocation("15:04", text, time.Local); err == nil {
		year, month, day := now.Local().Date()
		return time.Date(year, month, day, t.Hour(), t.Minute(), 0, 0, time.Local), nil
	}
	return time.Time{}, misused("--%s %q is no time: use a duration such as 2h for so long ago, a time of today such as 13:02, or 2026-01-31T08:00:00Z", flag, text)
}
