package main

import (
	"context"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/sluicehq/sluice/gateway/ingest"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

// manager is systemd, which is told how the gateway is (sd_notify). Where there is none, nothing is said.
type manager struct {
	admin  *telemetry.Admin
	pulse  pulse
	status string      // as it was told last
	ready  atomic.Bool // it was told so

	stop    context.CancelFunc
	running sync.WaitGroup
}

const tellEvery = 250 * time.Millisecond

// newManager tells systemd of what changes, until ctx ends or end is called, and then that the gateway stops.
func newManager(ctx context.Context, path *ingest.Path, admin *telemetry.Admin) *manager {
	m := &manager{admin: admin, pulse: pulse{ask: path.Pulse}}
	ctx, m.stop = context.WithCancel(ctx)
	if os.Getenv("NOTIFY_SOCKET") != "" {
		m.running.Go(func() { m.run(ctx) })
	}
	return m
}

// end returns when systemd was told that the gateway stops: a stop may take less time than that.
func (m *manager) end() {
	m.stop()
	m.running.Wait()
}

func (m *manager) run(ctx context.Context) {
	every := tellEvery
	watchdog, _ := daemon.SdWatchdogEnabled(false) // 0 where it is not set, or set to nonsense
	if watchdog > 0 {
		every = min(every, watchdog/3)
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for ctx.Err() == nil {
		m.say(m.admin.Readiness())
		if watchdog > 0 && m.pulse.beats(time.Now()) {
			tell(daemon.SdNotifyWatchdog)
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	tell(daemon.SdNotifyStopping, "STATUS=stopping: answering the requests in flight")
}

// say tells the state where it has changed, and once that the gateway takes deliveries: as soon as /readyz says so.
func (m *manager) say(r telemetry.Readiness) {
	if status := sentence(r); status != m.status {
		m.status = status
		tell("STATUS=" + status)
	}
	if takes := r.Status == "ready" || r.Status == "degraded"; takes && !m.ready.Load() {
		m.ready.Store(true)
		tell(daemon.SdNotifyReady)
	}
}

// reload says that settings are read again while that is done.
func (m *manager) reload(read func()) {
	if !m.ready.Load() { // or the answer would be taken for the end of the start
		read()
		return
	}
	tell(daemon.SdNotifyReloading, strings.TrimSpace(daemon.SdNotifyMonotonicUsec()))
	read()
	tell(daemon.SdNotifyReady)
}

// tell sends lines to systemd, which a request never waits for. What is lost is of no use later.
func tell(lines ...string) { _, _ = daemon.SdNotify(false, strings.Join(lines, "\n")) }

// sentence is the state of the gateway in one line.
func sentence(r telemetry.Readiness) string {
	var wrong []string
	for _, d := range r.Dependencies {
		if d.Status != telemetry.OK {
			wrong = append(wrong, d.Name+" is "+string(d.Status)+": "+d.Detail)
		}
	}
	return strings.ReplaceAll(strings.Join(append([]string{r.Status}, wrong...), "; "), "\n", ", ")
}

// pulse tells a gateway that is stuck from one that is idle, or that NATS keeps waiting: whatever NATS does, a delivery
// is answered within [ingest.Budget]. Only a defect of the gateway's own leaves all of them unanswered for much longer.
type pulse struct {
	ask      func() (waiting int, answered uint64)
	answered uint64
	since    time.Time // when that changed, or nothing waited
}

const stuckAfter = 4 * ingest.Budget

// beats is false while deliveries wait and none has been answered for stuckAfter.
func (p *pulse) beats(now time.Time) bool {
	waiting, answered := p.ask()
	if waiting == 0 || answered != p.answered || p.since.IsZero() {
		p.answered, p.since = answered, now
	}
	return now.Sub(p.since) < stuckAfter
}
