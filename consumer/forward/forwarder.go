package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sluicehq/sluice/internal/mask"
	"github.com/sluicehq/sluice/internal/tracing"
	"github.com/sluicehq/sluice/pkg/telemetry"
	"github.com/sluicehq/sluice/pkg/worker"
)

// forwarder runs a worker for each target, and follows the file that lists them.
type forwarder struct {
	settings *Settings
	log      *slog.Logger
	admin    *telemetry.Admin
	tracer   tracing.Tracer // nil: nothing is traced
	metrics  *metrics
	ended    chan struct{} // a runner has ended; one waiting word says it for several

	mu      sync.Mutex
	runners map[string]*runner // by name of the target
	wrong   error              // with the file, since it was read last
	since   time.Time          // the file was read so
}

func newForwarder(s *Settings, log *slog.Logger, admin *telemetry.Admin) *forwarder {
	return &forwarder{settings: s, log: log, admin: admin, metrics: newMetrics(admin.Registry()), ended: make(chan struct{}, 1), runners: map[string]*runner{}, since: time.Now()}
}

// run posts to the targets until ctx ends, or none of them can be worked for. On return nothing is being posted.
func (f *forwarder) run(ctx context.Context, targets []target, reload <-chan os.Signal) error {
	f.admin.Watch("targets", f.health)
	f.apply(ctx, targets)
	for {
		select {
		case <-ctx.Done():
			f.admin.Stopping()
			f.stop()
			return nil
		case <-reload:
			f.reload(ctx)
		case <-f.ended:
			if err := f.allFailed(); err != nil {
				f.stop()
				return err
			}
		}
	}
}

func (f *forwarder) reload(ctx context.Context) {
	targets, warnings, err := readTargets(f.settings.Targets)
	f.noteFile(err)
	if err != nil {
		f.log.Error("keeping the previous targets: their file has mistakes", "error", err, "remedy", fileRemedy)
		return
	}
	for _, warning := range warnings {
		f.log.Warn(warning)
	}
	f.apply(ctx, targets)
	f.log.Info("reloaded the targets", "file", f.settings.Targets, "targets", len(targets))
}

// apply makes the running targets those that are wanted. One that stays as it is and works goes on untouched; one that
// changed, or had ended, begins anew; one that is not wanted any more stops.
func (f *forwarder) apply(ctx context.Context, targets []target) {
	begin, end := f.difference(targets)
	for _, r := range end {
		r.cancel()
	}
	for _, r := range end {
		<-r.done
		f.forget(r, targets)
	}
	for _, t := range begin {
		f.start(ctx, t)
	}
}

func (f *forwarder) difference(targets []target) (begin []target, end []*runner) {
	f.mu.Lock()
	defer f.mu.Unlock()
	kept := map[string]bool{}
	for _, t := range targets {
		r := f.runners[t.Name]
		if r != nil {
			_, ended := r.state()
			kept[t.Name] = ended == nil && r.target.equal(&t)
		}
		if !kept[t.Name] {
			begin = append(begin, t)
		}
	}
	for name, r := range f.runners {
		if !kept[name] {
			end = append(end, r)
		}
	}
	return begin, end
}

// forget takes a runner that has stopped out of the list, and says so if its target is not in the file any more.
func (f *forwarder) forget(r *runner, targets []target) {
	name, team := r.target.Name, r.target.team().Name
	f.mu.Lock()
	delete(f.runners, name)
	f.mu.Unlock()
	if slices.ContainsFunc(targets, func(t target) bool { return t.Name == name }) {
		return
	}
	f.metrics.forget(name)
	f.log.Warn("a target was removed: nothing more is posted to it, and its position in the stream is kept", "target", name,
		"remedy", fmt.Sprintf("add it again to continue where it was; to remove its position for good: sluicectl teams remove %s", team))
}

func (f *forwarder) start(ctx context.Context, t target) {
	s := t.settings(f.settings.Settings)
	ctx, cancel := context.WithCancel(ctx)
	r := &runner{target: t, cancel: cancel, done: make(chan struct{}), paused: f.paused}
	r.poster = newPoster(&r.target, s.Concurrency, f.settings.Timeout, f.metrics.counter(t.Name))
	f.mu.Lock()
	f.runners[t.Name] = r
	f.mu.Unlock()
	f.metrics.paused.WithLabelValues(t.Name).Set(0)
	f.log.Info("posting to a target", "target", t.Name, "url", mask.Address(t.URL), "events", strings.Join(t.Events, " "), "concurrency", s.Concurrency)
	go func() {
		defer close(r.done)
		defer cancel()
		r.work(ctx, worker.Host{Settings: s, Log: f.log, Admin: f.admin, Tracer: f.tracer, Needs: "the receiver at " + mask.Address(t.URL)})
		select {
		case f.ended <- struct{}{}:
		default:
		}
		r.attend(ctx, s)
	}()
}

// stop waits for every runner to finish.
func (f *forwarder) stop() {
	f.mu.Lock()
	all := slices.Collect(maps.Values(f.runners))
	f.mu.Unlock()
	for _, r := range all {
		r.cancel()
	}
	for _, r := range all {
		<-r.done
	}
}
