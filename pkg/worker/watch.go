package worker

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/pkg/stream"
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
}

// watch measures the backlog from time to time, until ctx ends: for the metrics, for a line about the progress of a
// long one, and for a warning while there is still time before retention drops what was not processed.
func (w *worker) watch(ctx context.Context) {
	before, since := w.metrics.total.Load(), time.Now()
	warned := time.Duration(math.MaxInt64)
	for every := time.Duration(0); ; {
		stream.Pause(ctx, every)
		if ctx.Err() != nil {
			return
		}
		b, err := w.backlog(ctx)
		if err != nil {
			w.log.Debug("cannot see how far behind the team is", "error", err)
			every = w.watchEvery
			if w.nc.IsConnected() && errors.Is(err, context.DeadlineExceeded) {
				every = watchAgain
			}
			continue
		}
		every = w.watchEvery
		w.metrics.show(b)
		total := w.metrics.total.Load()
		w.reportProgress(b, float64(total-before)/time.Since(since).Seconds())
		before, since = total, time.Now()
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
	b.waiting = info.NumPending + uint64(info.NumAckPending)
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

func (w *worker) reportProgress(b backlog, rate float64) {
	if rate <= 0 || w.gate.state().cause != nil {
		return
	}
	if left := time.Duration(float64(b.waiting) / rate * float64(time.Second)); left > longAtWork {
		w.log.Info("catching up", "waiting", b.waiting, "per_second", math.Round(rate), "time_left", left.Round(time.Second).String())
	}
}

// warnOfLoss says once an hour that the time is running out, from the first hour below a day on. It returns how much
// time was left when it last said so.
func (w *worker) warnOfLoss(b backlog, warned time.Duration) time.Duration {
	if b.waiting == 0 || b.left >= riskHorizon {
		return math.MaxInt64
	}
	if b.left > warned-time.Hour {
		return warned
	}
	w.log.Warn("events that this team has not processed are close to being dropped by retention", "waiting", b.waiting,
		"oldest", b.oldest.UTC(), "dropped_in", max(b.left, 0).Round(time.Minute).String(),
		"remedy", "mend or speed up the consumer (SLUICE_CONCURRENCY, more instances), or raise SLUICE_EVENTS_MAX_AGE and SLUICE_EVENTS_MAX_BYTES of the gateway")
	return b.left
}
