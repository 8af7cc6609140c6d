package worker

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/team"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

// appear says in NATS how this process is, for those who ask about the team there.
func (w *worker) appear(ctx context.Context) {
	team.Report(ctx, w.js, w.team.Name, func() team.Process {
		p := team.Process{State: team.Working, Running: w.lanes.active(), Slots: w.settings.Concurrency}
		h := w.handlerHealth()
		p.Since = h.Since
		switch stuck, _ := w.stuck.state(); {
		case w.gate.state().cause != nil:
			p.State, p.Why = team.Held, h.Detail
		case stuck >= p.Slots:
			p.State, p.Why = team.Hung, h.Detail
		}
		return p
	})
}

// pause is what an operator wants: since when, and in words by whom.
type pause struct {
	since time.Time
	by    string
}

// watchPause asks NATS from time to time whether an operator has paused the team, and shows it on /readyz while it is so.
func (w *worker) watchPause(ctx context.Context) {
	var now atomic.Pointer[pause]
	unwatch := func() {}
	defer func() { unwatch() }()
	for ; ctx.Err() == nil; stream.Pause(ctx, pauseEvery) {
		found, err := w.askPause(ctx)
		if err != nil {
			continue
		}
		before := now.Swap(found)
		switch {
		case found != nil && before == nil:
			w.log.Warn("the team is paused "+found.by+": NATS gives it nothing", "since", found.since, "remedy", resumeRemedy(w.team.Name))
			unwatch = w.admin.Watch(w.prefix+"team", func() telemetry.Health { return now.Load().health(w.team.Name) })
		case found == nil && before != nil:
			w.log.Info("the team is paused no more")
			unwatch()
			unwatch = func() {}
		}
	}
}

const pauseEvery = 5 * time.Second

func (w *worker) askPause(ctx context.Context) (*pause, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	durable, err := w.js.Consumer(ctx, stream.Events, w.team.Name)
	if err != nil {
		return nil, err
	}
	by, since, paused := team.PausedBy(durable.CachedInfo())
	if !paused {
		return nil, nil
	}
	p := &pause{by: by, since: time.Now()}
	if since != nil {
		p.since = *since
	}
	return p, nil
}

func (p *pause) health(name string) telemetry.Health {
	if p == nil {
		return telemetry.Health{Status: telemetry.OK}
	}
	return telemetry.Health{Status: telemetry.Degraded, Since: p.since, Detail: "paused " + p.by, Remedy: resumeRemedy(name)}
}

func resumeRemedy(name string) string {
	return "nothing is lost: events wait in the stream; `sluicectl teams resume " + name + "` lets it go on"
}
