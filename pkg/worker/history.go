package worker

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/internal/history"
	"github.com/sluicehq/sluice/pkg/event"
)

// Note adds a word to the history of the event that a handler works on, such as the answer of a receiver, for operators
// to see. Call it with the handler's context. Use few different words; the last one counts.
func Note(ctx context.Context, word string) {
	if note, inHandler := ctx.Value(noteKey{}).(*string); inHandler {
		*note = event.OneLine(word, maxNote)
	}
}

type noteKey struct{}

const maxNote = 40 // bytes

// remember keeps what the team did with an event, once it is done with it: what is tried again tells it in the end. It
// blocks nobody, and what happened in the last second before a SIGKILL is not kept.
func (w *worker) remember(h *inFlight, o outcome, cause error, took time.Duration) {
	e := history.Entry{
		Sequence: h.event.Sequence, Identity: h.event.Identity, At: time.Now().UTC(), Outcome: history.Processed,
		Attempts: h.event.Attempt, Took: float64(took.Microseconds()) / 1000, Failures: h.event.Failures,
		Replay: h.event.Replay, Redriven: event.Redriven(h.event.Header), Note: h.note,
	}
	switch {
	case o.kind == retry:
		return
	case o.kind == dead:
		e.Outcome, e.Reason, e.Failures = history.Dead, o.reason, h.event.Failed(e.At, cause).Failures
	case o.class == skipped:
		e.Outcome = history.Skipped
	}
	w.history.Add(e)
}
