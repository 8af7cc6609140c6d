package main

import (
	"fmt"

	"github.com/sluicehq/sluice/internal/history"
	"github.com/sluicehq/sluice/internal/ops/trace"
)

// showFate prints what a team did with an event, and what of it is still open. Replayed says who started which replay.
func (s *session) showFate(f *trace.Fate, replayed map[string]string) {
	fmt.Fprintf(s.out, "  %s: %s%s\n", f.Team, f.State.Words(), when(f))
	if f.Waits != nil {
		fmt.Fprintf(s.out, "    %s\n", condition(f.Team, *f.Waits))
	}
	letter := f.LyingLetter()
	for i, h := range f.History {
		if i == letter || len(f.History) == 1 && isPlain(&h) {
			continue
		}
		printFailures(s.out, "    ", h.Failures)
		fmt.Fprintf(s.out, "    %s  %s\n", clock(h.At), printable(trace.About(&h, replayed)))
	}
	for _, c := range f.Copies {
		fmt.Fprintf(s.out, "    %s\n", printable(aboutCopy(c, replayed)))
		if !f.Died() { // what failed before it was redriven
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

// aboutCopy says what a copy is, and what it waits for.
func aboutCopy(c *trace.Copy, replayed map[string]string) string {
	if c.Next == nil {
		return c.About(replayed)
	}
	return c.About(replayed) + ", retry at " + clock(*c.Next)
}
