package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluicehq/sluice/internal/history"
	"github.com/sluicehq/sluice/internal/ops/trace"
	"github.com/sluicehq/sluice/internal/stream"
)

// fates are the states in words.
var fates = map[trace.State]string{
	trace.Waiting: "waiting in EVENTS", trace.InFlight: "in flight", trace.Retrying: "failed, and will be retried", trace.Dead: "dead-lettered",
	trace.Dropped: "dead-lettered, and dropped", trace.Redriven: "dead-lettered, and redriven", trace.Processed: "processed", trace.Skipped: "skipped: nothing to do for it",
	trace.Acknowledged: "acknowledged; its history does not say how it ended", trace.Before: "stored before the team began: not given to it",
}

// showFate prints what a team did with an event, and what of it is still open. Replayed says who started which replay.
func (s *session) showFate(f *trace.Fate, replayed map[string]string) {
	fmt.Fprintf(s.out, "  %s: %s%s\n", f.Team, fates[f.State], when(f))
	if f.Waits != nil {
		fmt.Fprintf(s.out, "    %s\n", condition(f.Team, *f.Waits))
	}
	letter := lyingLetter(f)
	for i, h := range f.History {
		if i == letter || len(f.History) == 1 && isPlain(&h) {
			continue
		}
		printFailures(s.out, "    ", h.Failures)
		fmt.Fprintf(s.out, "    %s  %s\n", clock(h.At), printable(aboutPast(&h, replayed)))
	}
	for _, c := range f.Copies {
		fmt.Fprintf(s.out, "    %s\n", printable(aboutCopy(c, replayed)))
		if !died(f) { // what failed before it was redriven
			printFailures(s.out, "      ", c.History)
		}
		printFailures(s.out, "      ", c.Failures)
	}
}

// when the team was done with it, where that is all there is to say.
func when(f *trace.Fate) string {
	done := f.Done()
	if done == nil || f.State != trace.Processed && f.State != trace.Skipped {
		return ""
	}
	return " " + clock(done.At)
}

// isPlain reports whether the state alone tells everything.
func isPlain(h *history.Entry) bool {
	return h.Attempts <= 1 && h.Replay == "" && len(h.Redriven) == 0 && h.Note == "" && (h.Outcome == history.Processed || h.Outcome == history.Skipped)
}

// died reports whether a death is in the history.
func died(f *trace.Fate) bool {
	return slices.ContainsFunc(f.History, func(h history.Entry) bool { return h.Outcome == history.Dead })
}

// lyingLetter is where in the history the death of a letter stands that is still there, which tells more; -1 for none.
func lyingLetter(f *trace.Fate) int {
	for i, h := range slices.Backward(f.History) {
		lies := func(c *trace.Copy) bool { return c.Stream == stream.Dead && c.Replay == h.Replay }
		if h.Outcome == history.Dead && slices.ContainsFunc(f.Copies, lies) {
			return i
		}
	}
	return -1
}

// aboutPast says what somebody did.
func aboutPast(h *history.Entry, replayed map[string]string) string {
	var words []string
	switch h.Outcome {
	case history.Redriven:
		return fmt.Sprintf("redriven from DEAD #%d by %s", h.Letter, h.By)
	case history.Dropped:
		return fmt.Sprintf("dropped from DEAD #%d by %s", h.Letter, h.By)
	case history.Dead:
		words = append(words, fmt.Sprintf("dead-lettered after %s, %s", plural(h.Attempts, "attempt"), h.Reason))
	default:
		words = append(words, string(h.Outcome))
		if h.Attempts > 1 {
			words = append(words, fmt.Sprintf("attempt %d", h.Attempts))
		}
		if h.Took > 0 {
			words = append(words, fmt.Sprintf("took %.1f ms", h.Took))
		}
	}
	if h.Note != "" {
		words = append(words, h.Note)
	}
	return strings.Join(append(words, origin(h.Replay, h.Redriven, replayed)...), ", ")
}

// origin says what a copy was made for.
func origin(replay string, redriven []uint64, replayed map[string]string) (words []string) {
	switch by := replayed[replay]; {
	case replay != "" && by != "":
		words = append(words, fmt.Sprintf("of replay %s by %s", replay, by))
	case replay != "":
		words = append(words, "of replay "+replay)
	}
	if len(redriven) > 0 {
		words = append(words, fmt.Sprintf("redriven from DEAD #%d", redriven[len(redriven)-1]))
	}
	return words
}

// aboutCopy says what a copy is, and what it waits for.
func aboutCopy(c *trace.Copy, replayed map[string]string) string {
	words := append([]string{fmt.Sprintf("%s #%d", c.Stream, c.Sequence)}, origin(c.Replay, c.Redriven, replayed)...)
	if c.Attempts > 0 {
		words = append(words, plural(c.Attempts, "failed attempt"))
	}
	if c.Next != nil {
		words = append(words, "retry at "+clock(*c.Next))
	}
	if c.Reason != "" {
		words = append(words, c.Reason)
	}
	return strings.Join(words, ", ")
}
