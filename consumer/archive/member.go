package main

import (
	"context"
	"sync"

	teams "github.com/sluicehq/sluice/internal/team"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

// attend says in NATS how this process is, until stop is called.
func (a *archiver) attend(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var attending sync.WaitGroup
	attending.Go(func() {
		teams.Member{Team: team, JS: a.from.js, Admin: a.admin, Log: a.log, State: a.state}.Attend(ctx)
	})
	return func() { cancel(); attending.Wait() }
}

// state is blocked while files cannot be written.
func (a *archiver) state() teams.Process {
	p := teams.Process{State: teams.Working, Slots: 1}
	trouble := a.trouble.Load()
	if p.Since = trouble.Since; trouble.Status != telemetry.OK {
		p.State, p.Why = teams.Blocked, trouble.Detail
	}
	return p
}
