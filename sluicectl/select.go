package main

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/pkg/event"
)

// chosen says what a command acts on, after it has asked: what is named, or else what its flags select.
type chosen struct{ all, yes bool }

func (c *chosen) flags(command *cobra.Command, everything string) {
	command.Flags().BoolVar(&c.all, "all", false, everything)
	command.Flags().BoolVar(&c.yes, "yes", false, "do not ask for confirmation")
}

// selections are one for each id, or the one of the flags, among which one of those in words is given, or --all.
func selections[S any](c *chosen, ids []string, flags S, given bool, words string, one func(sequence uint64, delivery string) S) (all []S, err error) {
	switch {
	case len(ids) == 0 && !given && !c.all:
		return nil, misused("say which: ids, %s, or --all", words)
	case len(ids) == 0:
		return []S{flags}, nil
	}
	for _, id := range ids {
		all = append(all, one(parseID(id)))
	}
	return all, nil
}

// checkPatterns refuses what can be no pattern of event names.
func checkPatterns(patterns []string) error {
	for _, pattern := range patterns {
		if !event.ValidPattern(pattern) {
			return misused("%q is not a pattern of event names: use names such as pbx.call.hangup, with * for one part, or > at the end for all that follow", pattern)
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

// How a time may be written, in the local time zone where it has none of its own; of a day that is named, or of today.
var (
	layouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05",
		"2006-01-02 15:04Z07:00", "2006-01-02 15:04", "2006-01-02"}
	hours = []string{"15:04", "15:04:05", "15:04Z07:00", "15:04:05Z07:00"}
)

// timeWords say in a flag's help how a time may be written.
const timeWords = "2h (two hours ago), 1d, 13:02, yesterday, yesterday 13:02, or 2026-01-31T08:00:00Z"

// parseTime reads a time, or a duration, which means so long ago. Empty is the zero time.
func parseTime(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, ok := parseAgo(text); ok {
		return now.Add(-d), nil
	}
	for _, layout := range layouts {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t, nil
		}
	}
	if t, ok := parseDay(text, now.Local()); ok {
		return t, nil
	}
	return time.Time{}, misused("--%s %q is not a time: use %s", flag, text, timeWords)
}

var days = regexp.MustCompile(`^(?:(\d{1,4})w)?(?:(\d{1,4})d)?(.*)$`)

// parseAgo reads a duration, which may have weeks and days before what Go writes.
func parseAgo(text string) (d time.Duration, ok bool) {
	parts := days.FindStringSubmatch(text)
	weeks, _ := strconv.Atoi(parts[1]) // digits, or nothing, which is 0
	whole, _ := strconv.Atoi(parts[2])
	d = time.Duration(7*weeks+whole) * 24 * time.Hour
	if parts[3] == "" {
		return d, true
	}
	rest, err := time.ParseDuration(parts[3])
	return d + rest, err == nil && rest >= 0
}

// parseDay reads an hour of today or yesterday, or the beginning of one of them.
func parseDay(text string, now time.Time) (time.Time, bool) {
	year, month, day := now.Date()
	word, hour, found := strings.Cut(text, " ")
	switch word {
	case "now":
		return now, !found
	case "today":
	case "yesterday":
		day--
	default:
		hour, found = text, true
	}
	midnight := time.Date(year, month, day, 0, 0, 0, 0, now.Location())
	if !found {
		return midnight, true
	}
	for _, layout := range hours {
		t, err := time.ParseInLocation("2006-01-02 "+layout, midnight.Format("2006-01-02 ")+hour, now.Location())
		if err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}
