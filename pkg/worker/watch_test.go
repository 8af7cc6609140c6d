package worker

import (
	"context"
	"log/slog"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

func TestTheWarningComesOnceAnHour(t *testing.T) {
	var out strings.Builder
	w := &worker{log: slog.New(slog.NewTextHandler(&out, nil))}
	warned := time.Duration(math.MaxInt64)
	for minutes := 26 * 60; minutes >= 0; minutes -= 10 {
		warned = w.warnOfLoss(backlog{waiting: 1, left: time.Duration(minutes) * time.Minute}, warned)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 24 || !strings.Contains(lines[0], "dropped_in=23h50m0s") || !strings.Contains(lines[0], "SLUICE_EVENTS_MAX_AGE") {
		t.Errorf("%d lines, the first: %s", len(lines), lines[0])
	}
	out.Reset()
	w.team.Name = "pbx"
	w.warnOfLoss(backlog{waiting: 1, left: time.Hour, paused: true}, math.MaxInt64)
	if !strings.Contains(out.String(), "teams resume pbx") || strings.Contains(out.String(), "SLUICE_CONCURRENCY") {
		t.Errorf("of a team that is paused: %s", out.String())
	}
	if got := w.warnOfLoss(backlog{}, time.Hour); got != math.MaxInt64 {
		t.Error("the next danger would be passed over in silence")
	}
}

// gauges are the values of the gauges and counters of a team.
func gauges(t *testing.T, w *worker) map[string]float64 {
	t.Helper()
	families, err := w.admin.Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			name := f.GetName()
			for _, label := range m.Label {
				if label.GetName() != "team" {
					name += " " + label.GetValue()
				}
			}
			values[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return values
}

func TestTheBacklogIsMeasured(t *testing.T) {
	h := newHub(t)
	if err := stream.Declare(t.Context(), h.js, stream.Settings{MaxAge: 10 * time.Hour}); err != nil {
		t.Fatal(err)
	}
	h.publish("pbx.a", 3)
	h.publish("other.b", 5)
	var out lockedBuilder
	release := make(chan struct{})
	w := quickly(h.url, Team{Name: "pbx", Events: []string{"pbx.>", "nothing.>"}}, Settings{}, func(context.Context, *event.Event) error { <-release; return nil })
	w.log = slog.New(slog.NewTextHandler(&out, nil))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.run(ctx) }()
	eventually(t, "the danger is told", func() bool { return strings.Contains(out.String(), "will soon drop events") })
	got := gauges(t, w)
	if got["sluice_consumer_lag"] != 3 || math.Round(got["sluice_consumer_retention_left_seconds"]/3600) != 10 || got["sluice_consumer_oldest_age_seconds"] <= 0 || got["sluice_consumer_oldest_age_seconds"] > 60 {
		t.Errorf("%v", got)
	}
	close(release)
	h.settled("pbx")
	eventually(t, "three are counted", func() bool { return gauges(t, w)["sluice_consumer_attempts_total processed"] == 3 })
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if got := gauges(t, w); len(got) > 0 && got["sluice_consumer_attempts_total processed"] != 0 {
		t.Error("the metrics of a team that ended are still there")
	}
}

type lockedBuilder struct {
	mu sync.Mutex
	strings.Builder
}

func (b *lockedBuilder) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Builder.Write(p)
}

func (b *lockedBuilder) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Builder.String()
}

func TestTheProgressCountsWhatComesIn(t *testing.T) {
	begin := time.Now()
	for name, c := range map[string]struct {
		before, now look
		want        string // in the line; none when empty
	}{
		"first look":         {look{}, look{at: begin, waiting: 10_000, total: 100}, ""},
		"nothing comes in":   {look{begin, 10_000, 0, false}, look{begin.Add(10 * time.Second), 9_000, 1_000, false}, `"catching up" waiting=9000 per_second=100 time_left=1m30s`},
		"half as much comes": {look{begin, 10_000, 0, false}, look{begin.Add(10 * time.Second), 9_500, 1_000, false}, `"catching up" waiting=9500 per_second=100 time_left=3m10s`},
		"more comes in":      {look{begin, 10_000, 0, false}, look{begin.Add(10 * time.Second), 10_320, 1_000, false}, `"falling behind by 32/s: more comes in than is processed" waiting=10320 per_second=100`},
		"none is processed":  {look{begin, 10_000, 0, false}, look{begin.Add(10 * time.Second), 10_320, 0, false}, `"falling behind by 32/s`},
		"as much comes in":   {look{begin, 10_000, 0, false}, look{begin.Add(10 * time.Second), 10_000, 1_000, false}, ""},
		"a normal day":       {look{begin, 3, 0, false}, look{begin.Add(10 * time.Second), 40, 1_000, false}, ""},
		"paused":             {look{begin, 10_000, 0, true}, look{begin.Add(10 * time.Second), 10_320, 0, true}, ""},
		"by another process": {look{begin, 10_000, 0, false}, look{begin.Add(10 * time.Second), 9_000, 0, false}, `time_left=1m30s`},
	} {
		var out strings.Builder
		w := &worker{log: slog.New(slog.NewTextHandler(&out, nil)), breaker: newBreaker(func(outage) {}, confirmWithin)}
		w.reportProgress(c.before, c.now)
		if got := out.String(); !strings.Contains(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%s: %s", name, got)
		}
	}
}
