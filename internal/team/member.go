package team

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

// Member shows the state of a process of a team: in NATS for those who look at the teams, and on its own /readyz while
// an operator has paused the team.
type Member struct {
	Team   string
	JS     jetstream.JetStream
	Admin  *telemetry.Admin
	Prefix string // of what it shows there, where several teams share a process
	Log    *slog.Logger
	State  func() Process // how the process is: State, Why, Since, Running and Slots
}

// Attend does so until ctx ends, and then reports that the process has stopped.
func (m Member) Attend(ctx context.Context) {
	var both sync.WaitGroup
	both.Go(func() { Report(ctx, m.JS, m.Team, m.State) })
	both.Go(func() { m.watchPause(ctx) })
	both.Wait()
}

// How often NATS is asked for a pause, and how long it may take to answer.
const (
	pauseEvery  = 5 * time.Second
	pauseWithin = 2 * time.Second
)

// watchPause asks NATS from time to time whether the team is paused.
func (m Member) watchPause(ctx context.Context) {
	paused, unwatch := false, func() {}
	defer func() { unwatch() }()
	for ; ctx.Err() == nil; stream.Pause(ctx, pauseEvery) {
		found, err := m.pause(ctx)
		switch {
		case err != nil:
		case found != nil && !paused:
			m.Log.Warn("the team is "+found.Detail+": NATS delivers nothing to it", "since", found.Since, "remedy", found.Remedy)
			unwatch = m.Admin.Watch(m.Prefix+"team", func() telemetry.Health { return *found })
			paused = true
		case found == nil && paused:
			m.Log.Info("the team is resumed")
			unwatch()
			paused, unwatch = false, func() {}
		}
	}
}

// pause is what /readyz says while the team is paused; nil when it is not.
func (m Member) pause(ctx context.Context) (*telemetry.Health, error) {
	ctx, cancel := context.WithTimeout(ctx, pauseWithin)
	defer cancel()
	durable, err := m.JS.Consumer(ctx, stream.Events, m.Team)
	if err != nil {
		return nil, err
	}
	by, since, paused := isPaused(durable.CachedInfo())
	if !paused {
		return nil, nil
	}
	h := &telemetry.Health{Status: telemetry.Degraded, Since: time.Now(), Detail: "paused " + by,
		Remedy: "resume it: sluicectl teams resume " + m.Team + "; until then its events wait in the stream, nothing is lost"}
	if since != nil {
		h.Since = *since
	}
	return h, nil
}
