// Package worker runs a team's consumer: a handler gets one event at a time, and what it returns decides the event's
// outcome.
//
//	nil                acknowledged: this team is done with the event
//	[Skip]             acknowledged: this team does not need the event
//	an error, a panic  retried, after an exponential backoff with jitter
//	[RetryAfter]       retried after the given pause
//	[Permanent]        dead-lettered at once
//
// An event waits for its retry as a copy in the stream RETRY, with its attempts and their errors. So it delays no other
// event, and its attempts count across restarts. After the last attempt, or a permanent error, the event is
// dead-lettered: it goes to the stream DEAD with the reason, and is acknowledged only after it is stored there. Nothing
// is dropped.
//
// When many different events fail in a row, the cause is an outage of something that the handler depends on, not the
// events. Then a circuit breaker trips: the worker pauses, counts no attempts, and tries one event every few seconds
// until one succeeds.
//
// Each event that matches the team's patterns is handled at least once, by one of the team's processes. Within a
// process, events with the same [Team.Key] are handled one at a time and start in stream order; only an event that
// waits for a retry may be overtaken. There is no order between keys, between processes, or across retries. If a
// process loses its connection or hangs for more than 15 s, its events are redelivered, and may be handled at the same
// time by another process. So handlers must tolerate duplicates, for which package inbox is made, and events out of
// order.
package worker

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/sluicehq/sluice/internal/history"
	"github.com/sluicehq/sluice/internal/mask"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/internal/tracing"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/settings"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

// Team is a consumer of events: its name, and which events it takes.
type Team struct {
	// Name is letters, digits, "_" and "-". It names the durable consumer in NATS: instances with the same name share
	// the work, and another name starts from the beginning.
	Name string

	// Events are patterns of event names: "pbx.call.hangup", "pbx.call.*", or "pbx.>" for all that begin so. None
	// means every event.
	Events []string

	// Key says which events must not be handled at the same time. Events with an equal key start in stream order; an
	// empty key, or no function, binds an event to no other.
	Key func(*event.Event) string
}

// Handler does a team's work for one event. Its context ends at the time limit of an attempt (SLUICE_TIMEOUT), or when
// a stopping process has waited long enough; after an error the event is retried. It is called concurrently, and must
// not change the event.
type Handler func(ctx context.Context, e *event.Event) error

// Run handles a team's events until ctx ends, and returns nil after a graceful stop: it takes no more events, waits up
// to 5 s for running handlers to finish, and returns events that did not begin to NATS. It does not wait for a handler
// that ignores the end of its context: that event is redelivered 15 s later, so end the process then. Run is configured
// by the environment alone, see [Settings]. It waits for NATS and for the stream as long as it takes. An error says
// what is wrong with the team or the settings, and what to do.
func Run(ctx context.Context, team Team, handle Handler) error {
	var s Settings
	if err := settings.Load(&s); err != nil {
		return err
	}
	log, err := telemetry.Logger(os.Stderr, s.Log)
	if err != nil {
		return err
	}
	admin, err := telemetry.NewAdmin(team.Name, s.Admin, s.AdminToken)
	if err != nil {
		return err
	}
	go admin.Serve()
	defer admin.Shutdown(context.WithoutCancel(ctx))
	defer context.AfterFunc(ctx, admin.Stopping)()
	tracer, err := tracing.Open(&s.Traces, tracing.Process{Name: "sluice-" + team.Name, Version: telemetry.Version(), Log: log}, admin.Registry())
	if err != nil {
		return err
	}
	defer tracing.Close(tracer)
	return Host{Settings: s, Log: log, Admin: admin, Tracer: tracer, alone: true}.Run(ctx, team, handle)
}

// Host is a process that runs one team's worker or several, with a log and an admin server of its own.
type Host struct {
	Settings Settings // NATSURL, NATSCreds and what follows Log
	Log      *slog.Logger
	Admin    *telemetry.Admin // takes the metrics, which carry the team's name, and the state of NATS and of the handler
	Tracer   tracing.Tracer   // nil: nothing is traced
	Needs    string           // what the handler depends on, for remedies: "the receiver at https://…"; such as its database when empty

	alone bool // the process is one team's
}

// Run is [Run] for a process that has read its settings itself. A team may run again when its Run has returned.
func (h Host) Run(ctx context.Context, team Team, handle Handler) error {
	if err := team.check(); err != nil {
		return err
	}
	w := &worker{team: team, handle: handle, settings: h.Settings, admin: h.Admin, tracer: h.Tracer, needs: h.Needs, timing: timings, log: h.Log.With("team", team.Name)}
	if !h.alone {
		w.prefix = team.Name + " "
	}
	return w.run(ctx)
}

type worker struct {
	team     Team
	handle   Handler
	settings Settings
	admin    *telemetry.Admin
	prefix   string // of what it watches, where several teams share a process
	needs    string
	tracer   tracing.Tracer
	log      *slog.Logger
	timing

	nc      *nats.Conn
	js      jetstream.JetStream
	metrics *metrics
	from    []*intake
	mark    string // in the ids of dead letters
	own     bool   // the team has a stream of its own for its retries
	breaker *breaker
	lanes   *lanes
	stuck   stuck
	history *history.Writer
}

// timing is what tests do sooner.
type timing struct {
	ackWait, fetchWait, watchEvery, grace, ignores, doubt time.Duration
}

var timings = timing{ackWait: stream.AckWait, fetchWait: fetchWait, watchEvery: watchEvery, grace: grace, ignores: ignores, doubt: confirmWithin}

// run connects, takes events from the team's durables into their lanes until ctx ends, and empties the lanes.
func (w *worker) run(ctx context.Context) (err error) {
	health := NewNATSHealth(w.settings.NATSURL)
	defer w.admin.Watch(w.prefix+"nats", health.Health)()
	if w.nc, err = stream.ConnectTeam(ctx, w.team.Name, stream.Options{URL: w.settings.NATSURL, Creds: w.settings.NATSCreds, TLS: w.settings.NATSTLS.Files(), Log: w.log}); err != nil {
		return stopped(ctx, err)
	}
	defer w.nc.Close()
	if w.js, err = jetstream.New(w.nc); err != nil {
		return err
	}
	w.from = w.intakes()
	defer health.Follow(w.nc, w.places(w.from)...)()
	if err := w.takePlaces(ctx, health); err != nil {
		return stopped(ctx, err)
	}
	w.log.Info("working", "events", w.team.patterns(), "nats", mask.Address(w.settings.NATSURL),
		"concurrency", w.settings.Concurrency, "waiting", w.live().place.Waiting())

	w.breaker = newBreaker(w.breakerChanged, w.doubt)
	w.lanes = newLanes(w.settings.Concurrency, w.ackWait/3, w)
	w.metrics = newMetrics(w)
	w.admin.Registry().MustRegister(w.metrics.registry)
	defer w.admin.Registry().Unregister(w.metrics.registry)
	w.history = history.NewWriter(w.js, w.team.Name, w.log, func(events int) { w.metrics.forgotten.Add(float64(events)) })
	defer w.admin.Watch(w.prefix+"handler", w.handlerHealth)()

	err = w.takeAll(ctx)
	w.log.Info("stopping: waiting for running handlers to finish")
	w.leaveBehind(w.lanes.close(w.grace))
	w.history.Close()
	if flushed := w.nc.FlushTimeout(flushTimeout); flushed != nil { // acknowledgements are on their way only now
		w.log.Warn("some acknowledgements may be lost: their events are handled again", "error", flushed)
	}
	return err
}

// leaveBehind ends the wait for handlers that ignore the end of their context.
func (w *worker) leaveBehind(left []*inFlight) {
	for _, h := range left {
		w.takeBackStart(h)
		w.log.Warn("a handler still runs although the process stops: not waiting for it, its event is handled again", "event", h.event.Name, "delivery", h.event.Delivery, "remedy", stuckRemedy)
	}
}

// takeAll takes from every stream until ctx ends, or until one of them cannot be taken from any more.
func (w *worker) takeAll(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, in := range w.from {
		group.Go(func() error { return w.take(ctx, in) })
	}
	group.Go(func() error { w.watch(ctx); return nil })
	group.Go(func() error { w.member().Attend(ctx); return nil })
	return group.Wait()
}

// takePlaces takes the team's place in every stream. Whether it has one of its own for its retries is known once an
// operator has made its place among the events.
func (w *worker) takePlaces(ctx context.Context, health *NATSHealth) (err error) {
	if err := w.live().place.Take(ctx); err != nil {
		return err
	}
	w.mark = w.live().place.Mark()
	if w.own, err = stream.HasRetry(ctx, w.js, w.team.Name); err != nil {
		return err
	}
	if w.own {
		own := w.ownRetries()
		health.add(w.places([]*intake{own})...)
		w.from = append(w.from, own)
	}
	for _, in := range w.from[1:] {
		if err := in.place.Take(ctx); err != nil {
			return err
		}
	}
	return nil
}

// places are the team's in the streams of intakes, not taken yet.
func (w *worker) places(from []*intake) (all []*stream.Place) {
	for _, in := range from {
		in.place = w.place(in)
		all = append(all, in.place)
	}
	return all
}

// live is the intake of the events themselves.
func (w *worker) live() *intake { return w.from[0] }

// grace is how long handlers may take to end when the process stops, and flushTimeout what their acknowledgements
// may take on top: together with one fetch less than the 10 s after which supervisors kill.
const (
	grace        = 5 * time.Second
	flushTimeout = time.Second
)

// stopped makes a stop before the start was complete a graceful one.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

var validTeam = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func (t *Team) check() error {
	if !validTeam.MatchString(t.Name) {
		return fmt.Errorf("the team's name %q cannot name a consumer: use letters, digits, _ and -, at most 64", t.Name)
	}
	for _, pattern := range t.patterns() {
		if !event.ValidPattern(pattern) {
			return fmt.Errorf("team %s: %q is not a pattern of event names: use names such as pbx.call.hangup, with * for one part, or > at the end for all that follow", t.Name, pattern)
		}
	}
	return nil
}

func (t *Team) patterns() []string {
	if len(t.Events) == 0 {
		return []string{">"}
	}
	return t.Events
}

func (t *Team) filters() (subjects []string) {
	for _, pattern := range t.patterns() {
		subjects = append(subjects, event.Filter(pattern))
	}
	return subjects
}
