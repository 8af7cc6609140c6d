package main

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/internal/ops/replay"
	"github.com/sluicehq/sluice/internal/stream"
)

func replayShowCommand() *cobra.Command {
	return connected(&cobra.Command{
		Use: "show <id>", Short: "Show a replay, and how far its team has processed the copies", Args: cobra.ExactArgs(1),
		Example: "  sluicectl replay show 20261123-130205-k3f9\n  sluicectl replay show 20261123-130205-k3f9 -o json",
	}, func(ctx context.Context, s *session, args []string) error {
		journal, err := replay.OpenJournal(ctx, s.js)
		if err != nil {
			return err
		}
		e, err := journal.Get(ctx, args[0])
		if err != nil {
			return notFound(err)
		}
		return s.showReplay(e, s.came(ctx, e))
	})
}

// replayJSON is a replay for programs, with what its team did with the copies, where that is known.
type replayJSON struct {
	*replay.Entry
	Came *replay.Came `json:"came,omitempty"`
}

func (s *session) showReplay(e *replay.Entry, came *replay.Came) error {
	if s.json() {
		return object(s.out, replayJSON{e, came})
	}
	fmt.Fprintf(s.out, "replay %s\n", e.ID)
	some := func(count int, and string) string { // nothing is said about none
		if count == 0 {
			return ""
		}
		return plural(count, "event") + and
	}
	result := ""
	if came != nil {
		result = came.String()
	}
	fields(s.out, "to", e.Target(), "what", what(e), "by", e.By, "started", clock(e.Started), "state", e.State, "error", e.Error,
		"brought", fmt.Sprintf("%d of %s", e.Progress.Replayed, plural(e.Events, "event")),
		"left out", some(e.Progress.Skipped, " that it had processed"), "refused", some(e.Progress.Refused, ""), "result", result)
	return nil
}

// came is what the team did so far; nil for a URL, and where it cannot be known, which is said.
func (s *session) came(ctx context.Context, e *replay.Entry) *replay.Came {
	if e.Team == "" {
		return nil
	}
	came, err := e.Came(ctx, s.js)
	if err != nil {
		fmt.Fprintf(s.err, "cannot see what %s did with the copies: %v\n", e.Team, err)
		return nil
	}
	return came
}

const (
	lookEvery = 200 * time.Millisecond
	quiet     = 3 * time.Second        // without a change: longer than a worker's history takes
	nobody    = 500 * time.Millisecond // the same where nobody takes anything
)

// awaitTeam waits for what the team does with the copies, as long as it does something, and returns what is known then.
func (s *session) awaitTeam(ctx context.Context, e *replay.Entry, wait time.Duration) *replay.Came {
	begin := time.Now()
	before, changed := -1, begin
	for time.Since(begin) < wait && ctx.Err() == nil {
		queued, err := e.Queued(ctx, s.js)
		if err != nil {
			break
		}
		if queued == 0 {
			came := s.came(ctx, e)
			if came == nil || came.Settled() {
				return came
			}
			queued -= came.Processed + came.Skipped + came.Dead
		}
		if queued != before {
			before, changed = queued, time.Now()
		}
		if time.Since(changed) > s.patience(ctx, e.Team) {
			break
		}
		stream.Pause(ctx, lookEvery)
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectWithin)
	defer cancel()
	return s.came(last, e)
}

// patience is how long nothing may happen before there is no use in waiting.
func (s *session) patience(ctx context.Context, team string) time.Duration {
	consumer, err := s.js.Consumer(ctx, stream.Replay, team)
	if err != nil || isIdle(consumer.CachedInfo()) {
		return nobody
	}
	return quiet
}

func isIdle(c *jetstream.ConsumerInfo) bool {
	return c.Paused || c.NumWaiting == 0 && c.NumAckPending == 0
}
