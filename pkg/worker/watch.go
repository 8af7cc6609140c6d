package worker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/stream"
)

const (
	watchEvery  = 10 * time.Second
	watchAgain  = time.Minute // after NATS did not answer: it may be a permission that is not there
	askWithin   = 2 * time.Second
	longAtWork  = 5 * time.Second // a backlog that takes longer gets lines about its progress
	riskHorizon = 24 * time.Hour
)

// backlog is what the team has not processed of EVENTS.
type backlog struct {
	waiting uint64        // events
	oldest  time.Time     // when the first of them was stored
	left    time.Duration // until retention drops it
	paused  bool          // by an operator: NATS gives nothing out
}

// watch measures the backlog from time to time, until ctx ends: for the metrics, for a line about the progress of a
// long one, and for a warning while there is still time before retention drops what was not processed.
func (w *worker) watch(ctx context.Context) {
	var before look
	warned := time.Duration(math.MaxInt64)
	for every := time.Duration(0); ; {
		stream.Pause(ctx, every)
		if ctx.Err() != nil {
			return
		}
		b, err := w.backlog(ctx)
		if err != nil {
			w.log.Debug("cannot measure the team's lag", "error", err)
			every = w.watchEvery
			if w.nc.IsConnected() && errors.Is(err, context.DeadlineExceeded) {
				every = watchAgain
			}
			continue
		}
		every = w.watchEvery
		w.metrics.show(b)
		now := look{at: time.Now(), waiting: b.waiting, total: w.metrics.total.Load(), paused: b.paused}
		w.reportProgress(before, now)
		before = now
		warned = w.warnOfLoss(b, warned)
	}
}

// backlog asks NATS. The position of the durable is a true measure, because an event that fails moves to RETRY.
func (w *worker) backlog(ctx context.Context) (b backlog, err error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	durable, err := w.js.Consumer(ctx, stream.Events, w.team.Name)
	if err != nil {
		return b, err
	}
	info := durable.CachedInfo()
	b.waiting, b.paused = info.NumPending+uint64(info.NumAckPending), info.Paused
	if b.waiting == 0 {
		return b, nil
	}
	events, err := w.js.Stream(ctx, stream.Events)
	if err != nil {
		return b, err
	}
	first, err := stream.FirstFrom(ctx, events, w.live().filters, info.AckFloor.Stream+1)
	if errors.Is(err, jetstream.ErrMsgNotFound) { // the last one was processed meanwhile
		return backlog{}, nil
	}
	if err != nil {
		return b, err
	}
	b.oldest = first.Time
	b.left = stream.UntilDropped(events.CachedInfo(), first.Sequence, first.Time, time.Now())
	return b, nil
}

func (m *metrics) show(b backlog) {
	m.lag.Set(float64(b.waiting))
	m.oldest.Set(0)
	m.atRisk.Set(math.Inf(1))
	if b.waiting > 0 {
		m.oldest.Set(time.Since(b.oldest).Seconds())
		m.atRisk.Set(b.left.Seconds())
	}
}

// look is the team's backlog at a time, and how many events this process had settled.
type look struct {
	at      time.Time
	waiting uint64
	total   uint64
	paused  bool
}

// reportProgress says how a long backlog has changed between two looks: what comes in counts as well as what is settled,
// by whatever process of the team.
func (w *worker) reportProgress(before, now look) {
	if before.at.IsZero() || before.paused || now.paused || w.breaker.state().cause != nil {
		return
	}
	seconds := now.at.Sub(before.at).Seconds()
	rate := float64(now.total-before.total) / seconds
	shrinks := (float64(before.waiting) - float64(now.waiting)) / seconds
	if float64(now.waiting) <= rate*longAtWork.Seconds() { // no more than has just come
		return
	}
	line := w.log.With("waiting", now.waiting, "per_second", math.Round(rate))
	switch {
	case shrinks >= 1:
		line.Info("catching up", "time_left", time.Duration(float64(now.waiting)/shrinks*float64(time.Second)).Round(time.Second).String())
	case shrinks <= -1:
		line.Warn(fmt.Sprintf("falling behind by %.0f/s: more comes in than is processed", -shrinks), "remedy", speedUp)
	}
}

const speedUp = "speed up the consumer (SLUICE_CONCURRENCY, more instances)"

// warnOfLoss says once an hour that the time is running out, from the first hour below a day on. It returns how much
// time was left when it last said so.
func (w *worker) warnOfLoss(b backlog, warned time.Duration) time.Duration {
	if b.waiting == 0 || b.left >= riskHorizon {
		return math.MaxInt64
	}
	if b.left > warned-time.Hour {
		return warned
	}
	remedy := speedUp
	if b.paused {
		remedy = "resume the team: sluicectl teams resume " + w.team.Name
	}
	w.log.Warn("retention will soon drop events that this team has not processed", "waiting", b.waiting,
		"oldest", b.oldest.UTC(), "dropped_in", max(b.left, 0).Round(time.Minute).String(),
		"remedy", remedy+", or raise SLUICE_EVENTS_MAX_AGE and SLUICE_EVENTS_MAX_BYTES of the gateway")
	return b.left
}
