package trace

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluicehq/sluice/internal/history"
	"github.com/sluicehq/sluice/internal/stream"
)

// Words are the state for people.
func (s State) Words() string {
	return map[State]string{
		Waiting: "waiting in EVENTS", InFlight: "in flight", Retrying: "failed, and will be retried", Dead: "dead-lettered",
		Dropped: "dead-lettered, and dropped", Redriven: "dead-lettered, and redriven", Processed: "processed", Skipped: "skipped: nothing to do for it",
		Acknowledged: "acknowledged; its history does not say how it ended", Before: "stored before the team began: not given to it",
	}[s]
}

// About says what somebody did, such as "processed, attempt 2, took 1.5 ms". Replayed says who started which replay.
func About(h *history.Entry, replayed map[string]string) string {
	var words []string
	switch h.Outcome {
	case history.Redriven:
		return fmt.Sprintf("redriven from DEAD #%d by %s", h.Letter, h.By)
	case history.Dropped:
		return fmt.Sprintf("dropped from DEAD #%d by %s", h.Letter, h.By)
	case history.Dead:
		words = append(words, fmt.Sprintf("dead-lettered after %s, %s", attempts(h.Attempts, "attempt"), h.Reason))
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

// About says what a copy is, and why. When it is tried again stands in Next.
func (c *Copy) About(replayed map[string]string) string {
	words := append([]string{fmt.Sprintf("%s #%d", c.Stream, c.Sequence)}, origin(c.Replay, c.Redriven, replayed)...)
	if c.Attempts > 0 {
		words = append(words, attempts(c.Attempts, "failed attempt"))
	}
	if c.Reason != "" {
		words = append(words, c.Reason)
	}
	return strings.Join(words, ", ")
}

func attempts(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// Died reports whether a death is in the history.
func (f *Fate) Died() bool {
	return slices.ContainsFunc(f.History, func(h history.Entry) bool { return h.Outcome == history.Dead })
}

// LyingLetter is where in the history the death of a letter stands that is still there, which tells more; -1 for none.
func (f *Fate) LyingLetter() int {
	for i, h := range slices.Backward(f.History) {
		lies := func(c *Copy) bool { return c.Stream == stream.Dead && c.Replay == h.Replay }
		if h.Outcome == history.Dead && slices.ContainsFunc(f.Copies, lies) {
			return i
		}
	}
	return -1
}
