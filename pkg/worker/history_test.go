package worker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/internal/history"
	"github.com/sluicehq/sluice/pkg/event"
)

func TestWhatATeamDidWithAnEventOutlivesItsSuccess(t *testing.T) {
	h := newHub(t)
	names := []string{"well", "later", "never", "final", "skipped", "noted"}
	for _, name := range names {
		h.publish(name, 1)
	}
	var calls counter
	stop := h.start(Team{Name: "team"}, Settings{Attempts: 2}, func(ctx context.Context, e *event.Event) error {
		switch attempt := calls.add(e.Name); {
		case e.Name == "never", e.Name == "later" && attempt == 1:
			return errors.New("no such table")
		case e.Name == "final":
			return Permanent(errors.New("no such lead"))
		case e.Name == "skipped":
			return Skip
		case e.Name == "noted":
			Note(ctx, "Duplicate")
		}
		return nil
	})
	told := func(sequence uint64) string {
		entries, err := history.Of(t.Context(), h.js, sequence)
		if err != nil || len(entries) != 1 {
			return fmt.Sprint(len(entries), " ", err)
		}
		e := entries[0]
		var failures []string
		for _, f := range e.Failures {
			failures = append(failures, f.Error)
		}
		return strings.Join(strings.Fields(fmt.Sprint(e.Team, " ", e.Outcome, " ", e.Attempts, " ", e.Reason, " ", e.Note, " ", strings.Join(failures, "; "))), " ")
	}
	for i, want := range []string{
		"team processed 1", "team processed 2 no such table", "team dead 2 exhausted no such table; no such table",
		"team dead 1 permanent no such lead", "team skipped 1", "team processed 1 Duplicate",
	} {
		eventually(t, fmt.Sprintf("the history of %s is %q", names[i], want), func() bool { return told(uint64(i+1)) == want })
	}
	stop()
}
