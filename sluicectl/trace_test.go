package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/telemetry"
	"github.com/sluicehq/sluice/pkg/worker"
)

// work runs a team's worker until the test ends.
func (g *stage) work(team string, attempts int, handle worker.Handler) {
	g.t.Helper()
	admin, err := telemetry.NewAdmin(team, "", "")
	if err != nil {
		g.t.Fatal(err)
	}
	host := worker.Host{Log: slog.New(slog.DiscardHandler), Admin: admin, Settings: worker.Settings{
		Common: worker.Common{NATSURL: os.Getenv("NATS_URL")}, Concurrency: 4, Timeout: time.Minute, Attempts: attempts, BackoffMin: 10 * time.Millisecond, BackoffMax: 10 * time.Millisecond,
	}}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := host.Run(ctx, worker.Team{Name: team, Events: []string{"pbx.>"}}, handle); err != nil {
			g.t.Error(err)
		}
	})
	g.t.Cleanup(func() { stop(); running.Wait() })
}

// traced waits until the trace of EVENTS #sequence looks so.
func (g *stage) traced(sequence int, want string) {
	g.t.Helper()
	pattern, last := regexp.MustCompile(want), ""
	defer func() {
		if g.t.Failed() {
			g.t.Logf("#%d is not %q:\n%s", sequence, want, last)
		}
	}()
	rig.Eventually(g.t, 30*time.Second, "the trace says so", func() bool {
		stdout, stderr, _ := g.ctl(g.t.Context(), "", "trace", deliveryID(sequence))
		last = stdout + stderr
		return pattern.MatchString(stdout)
	})
}

func TestALifeOutlivesItsEnd(t *testing.T) {
	g := newStage(t)
	for range 5 {
		g.event("pbx.call.hangup")
	}
	var mended atomic.Bool
	g.work("pbx", 2, func(_ context.Context, e *event.Event) error {
		switch {
		case mended.Load(), e.Sequence == 1, e.Sequence == 2 && e.Attempt == 2:
			return nil
		case e.Sequence == 5:
			return worker.Skip
		}
		return errors.New("no such table")
	})
	at := `\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S+`
	g.traced(1, `(?m)^  pbx: processed `+at+`\n\z`)
	g.traced(2, `(?m)^  pbx: processed `+at+`\n    `+at+`  no such table\n    `+at+`  processed, attempt 2, took [\d.]+ ms\n\z`)
	g.traced(5, `(?m)^  pbx: skipped: nothing to do for it `+at+`\n\z`)
	rig.Eventually(t, 30*time.Second, "two are dead-lettered", func() bool { return g.messages(stream.Dead) == 2 })
	g.traced(3, `pbx: dead-lettered\n    DEAD #\d, 2 failed attempts, exhausted\n      `+at+`  no such table\n      `+at+`  no such table\n\z`)
	mended.Store(true)
	g.run("dead drop " + deliveryID(3) + " --yes")
	g.run("dead redrive " + deliveryID(4) + " --yes")
	by := regexp.QuoteMeta(operator())
	died := at + `  no such table\n    ` + at + `  no such table\n    ` + at + `  dead-lettered after 2 attempts, exhausted\n    `
	g.traced(3, `pbx: dead-lettered, and dropped\n    `+died+at+`  dropped from DEAD #\d by `+by+`\n\z`)
	g.traced(4, `pbx: processed `+at+`\n    `+died+at+`  redriven from DEAD #\d by `+by+`\n    `+at+`  processed, took [\d.]+ ms, redriven from DEAD #\d\n\z`)
	g.run("replay --team pbx --from 1 --to 1 --yes")
	g.traced(1, `pbx: processed `+at+`\n    `+at+`  processed\n    `+at+`  processed, of replay \S+ by `+by+`\n\z`)
}

// The streams of an older gateway have no history: the rest of a life is shown all the same.
func TestATraceWithoutHistory(t *testing.T) {
	g := newStage(t)
	g.event("pbx.call.hangup")
	if err := g.js.DeleteStream(t.Context(), stream.History); err != nil {
		t.Fatal(err)
	}
	g.work("pbx", 1, func(context.Context, *event.Event) error { return errors.New("no such table") })
	g.traced(1, `pbx: dead-lettered\n`)
	stdout, stderr, code := g.ctl(t.Context(), "", "dead", "drop", "1", "--yes")
	if code != 0 || !strings.Contains(stderr, "the history of the events does not know of it: stream HISTORY does not exist") {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
	stdout, stderr, code = g.ctl(t.Context(), "", "trace", deliveryID(1))
	if code != 0 || !strings.Contains(stdout, "pbx: acknowledged; its history does not say how it ended") || !strings.Contains(stderr, "start a gateway of this version") {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
}
