package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/ops/replay"
	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/worker"
)

func TestAReplayThatWasRefusedIsNotDone(t *testing.T) {
	g := newStage(t)
	for range 5 {
		g.event("pbx.call.hangup")
	}
	var takes atomic.Bool
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if !takes.Load() {
			http.Error(w, "not now", http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(receiver.Close)
	stdout, stderr, code := g.ctl(t.Context(), "", "replay", "--url", receiver.URL, "--since", "1h", "--yes")
	resume := regexp.MustCompile("5 events were refused, see above: `sluicectl (replay resume \\S+ --yes)` tries them again").FindStringSubmatch(stderr)
	if code != exitFailed || !strings.Contains(stdout, "replayed 0 events to "+receiver.URL) || resume == nil {
		t.Fatalf("exit code %d\n%s%s", code, stdout, stderr)
	}
	if stdout, _, _ := g.ctl(t.Context(), "", "replay", "list"); !regexp.MustCompile(`refused .* 0/5 .*5 refused`).MatchString(stdout) {
		t.Error(stdout)
	}
	if _, stderr, code := g.ctl(t.Context(), "n\n", strings.Fields(strings.TrimSuffix(resume[1], " --yes"))...); code != exitFailed || !strings.Contains(stderr, "5 of 5 events are left") {
		t.Errorf("it does not ask: exit code %d\n%s", code, stderr)
	}
	takes.Store(true)
	if stdout, stderr, code := g.ctl(t.Context(), "", strings.Fields(resume[1])...); code != 0 || !strings.Contains(stdout, "replayed 5 events") {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
	if e := g.theReplay(); e.State != replay.Done || e.Progress != (replay.Progress{Sequence: 5, Replayed: 5}) {
		t.Errorf("%+v", e)
	}
}

func TestAReplayToATeamTellsWhatItCameTo(t *testing.T) {
	g := newStage(t)
	for range 6 {
		g.event("pbx.call.hangup")
	}
	var mended atomic.Bool
	g.work("pbx", 2, func(ctx context.Context, e *event.Event) error {
		switch {
		case e.Replay == "" || mended.Load():
			return nil
		case e.Sequence == 1:
			return worker.Permanent(errors.New("no such lead"))
		case e.Sequence == 2:
			return worker.RetryAfter(time.Hour, errors.New("come back later"))
		case e.Sequence == 3:
			return worker.Skip
		}
		worker.Note(ctx, "Duplicate")
		return nil
	})
	g.traced(6, `pbx: processed`)
	stdout, stderr, code := g.ctl(t.Context(), "", "replay", "--team", "pbx", "--since", "1h", "--rate", "0", "--yes")
	const came = "3 processed (Duplicate: 3), 1 skipped, 1 dead-lettered, 1 failed and retried"
	if code != 0 || stdout != "replayed 6 events to pbx\npbx: "+came+"\n" || !strings.Contains(stderr, "sluicectl replay show "+g.theReplay().ID) {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
	mended.Store(true)
	g.run("dead redrive --all --yes")
	rig.Eventually(t, 20*time.Second, "the redriven one is processed", func() bool {
		stdout, _, _ = g.ctl(t.Context(), "", "replay", "show", g.theReplay().ID)
		return strings.Contains(stdout, "4 processed (Duplicate: 3), 1 skipped, 1 failed and retried")
	})
}
