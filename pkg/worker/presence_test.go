package worker

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/team"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

// condition is what NATS knows of a team's state.
func (h *hub) condition(name string) team.Condition {
	h.t.Helper()
	all, err := team.Statuses(h.t.Context(), h.js, 0)
	if err != nil || len(all) != 1 || all[0].Team != name {
		h.t.Fatalf("%v %v", all, err)
	}
	return all[0].Condition
}

func TestWhetherAndWhyATeamIsHeldIsKnownInNATS(t *testing.T) {
	h := newHub(t)
	h.publish("pbx.call", 20)
	stop := h.start(Team{Name: "pbx"}, Settings{}, func(context.Context, *event.Event) error { return Unavailable(time.Minute, errors.New("no database")) })
	h.declared("pbx")
	eventually(t, "the team is blocked", func() bool {
		c := h.condition("pbx")
		return c.State == team.Blocked && strings.Contains(c.Why, "no database") && time.Since(*c.Since) < time.Minute
	})
	stop()
	if c := h.condition("pbx"); c.State != team.NoProcess || !strings.Contains(c.Why, "was stopped") {
		t.Errorf("%+v", c)
	}
}

func TestAPausedTeamSaysByWhomAndGoesOnWhenResumed(t *testing.T) {
	h := newHub(t)
	w := quickly(h.url, Team{Name: "pbx"}, Settings{}, nil)
	handled := make(chan string, 10)
	w.handle = func(_ context.Context, e *event.Event) error { handled <- string(e.Body); return nil }
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	h.declared("pbx")
	pbx, err := team.Find(t.Context(), h.js, "pbx")
	if err != nil {
		t.Fatal(err)
	}
	if err := pbx.Pause(t.Context(), h.js, "ops@desk", time.Now()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "/readyz says who paused it", func() bool {
		for _, d := range w.admin.Readiness().Dependencies {
			if d.Name == "team" && d.Status == telemetry.Degraded && d.Detail == "paused by ops@desk" && strings.Contains(d.Remedy, "teams resume pbx") {
				return true
			}
		}
		return false
	})
	h.publish("pbx.call", 1)
	if c := h.condition("pbx"); c.State != team.Paused || len(handled) > 0 {
		t.Errorf("%+v, %d handled", c, len(handled))
	}
	if err := pbx.Resume(t.Context(), h.js); err != nil {
		t.Fatal(err)
	}
	select {
	case <-handled:
	case <-time.After(20 * time.Second):
		t.Fatal("it does not go on")
	}
	eventually(t, "/readyz has nothing to say of it", func() bool { return w.admin.Readiness().Status == "ready" })
}
