package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/internal/team"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/worker"
)

// runner is a target's worker: at work, or ended before it was stopped, because the receiver is gone or the worker
// cannot work.
type runner struct {
	target target
	poster *poster
	cancel context.CancelFunc   // stops it for good
	halt   context.CancelFunc   // stops its worker
	done   chan struct{}        // closed when nothing of it runs any more
	paused func(*target, error) // is told when it ends by itself

	mu    sync.Mutex
	ended error // why; nil at work
	since time.Time
}

// work runs until ctx ends or the receiver is gone.
func (r *runner) work(ctx context.Context, host worker.Host) {
	defer r.poster.close()
	ctx, r.halt = context.WithCancel(ctx)
	defer r.halt()
	if err := host.Run(ctx, r.target.team(), r.handle); err != nil {
		r.end(err)
	}
}

// handle posts an event. Once the receiver is gone nothing more is posted.
func (r *runner) handle(ctx context.Context, e *event.Event) error {
	if _, ended := r.state(); ended != nil {
		return giveBack(ctx)
	}
	err := r.poster.post(ctx, e)
	if errors.Is(err, errGone) {
		r.end(err)
		r.halt()
		return giveBack(ctx)
	}
	return err
}

// giveBack waits until the worker, which is stopping, cancels the handlers that still run: what they hold then goes
// back to the stream, and no attempt is counted.
func giveBack(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// attend tells those who look at the teams, until ctx ends, that a target that ended by itself is blocked: its process
// runs, and its place must not be taken for one that is left.
func (r *runner) attend(ctx context.Context, s worker.Settings) {
	since, ended := r.state()
	if ended == nil {
		return
	}
	blocked := func() team.Process {
		return team.Process{State: team.Blocked, Since: since, Why: ended.Error() + "; forward posts nothing to it until a SIGHUP or a restart"}
	}
	for ; ctx.Err() == nil; stream.Pause(ctx, attendAgain) {
		nc, err := stream.Connect(ctx, stream.Options{URL: s.NATSURL, Creds: s.NATSCreds, TLS: s.NATSTLS.Files(), Name: "forward"})
		if err != nil {
			continue // NATS is away: who looks sees nothing either
		}
		if js, err := jetstream.New(nc); err == nil {
			team.Report(ctx, js, r.target.team().Name, blocked)
		}
		nc.Close()
	}
}

const attendAgain = 5 * time.Second

// end notes why the runner ended by itself. The first reason is it.
func (r *runner) end(why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended == nil {
		r.ended, r.since = why, time.Now()
		r.paused(&r.target, why)
	}
}

// state is why and since when the runner has ended by itself; without a reason it is at work.
func (r *runner) state() (since time.Time, ended error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.since, r.ended
}
