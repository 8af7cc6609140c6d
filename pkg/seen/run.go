package seen

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"
)

// coveredKey holds a time, in milliseconds since 1970: what was stored before it is marked. It is gone with everything
// else when Redis is wiped, and old after an outage, a restart from an old snapshot, or a stop of the gateway.
const coveredKey = "sluice:seen"

const (
	probeEvery  = 500 * time.Millisecond
	staleAfter  = 10 * time.Second // a covered time that nobody moved for so long means a gap
	margin      = 10 * time.Second // between a store and its mark, and between clocks
	refillAgain = 2 * time.Second
)

// gap is the earliest time from which marks are missing as far as this process knows.
type gap struct {
	lock  sync.Mutex
	since time.Time
}

// Missed says that something stored at that time could not be marked: the next refill begins there.
func (g *gap) Missed(since time.Time) {
	g.lock.Lock()
	defer g.lock.Unlock()
	if g.since.IsZero() || since.Before(g.since) {
		g.since = since
	}
}

func (g *gap) take() (since time.Time) {
	g.lock.Lock()
	defer g.lock.Unlock()
	since, g.since = g.since, time.Time{}
	return since
}

// Run probes Redis and refills it where marks are missing, until ctx ends: after it was wiped, after it was away, and
// after the gateway was. refill marks again what was stored since a time; it may be called many times, never twice at
// once, and is called again when it fails.
func (r *Redis) Run(ctx context.Context, refill func(ctx context.Context, since time.Time) error) {
	k := &keeper{Redis: r, refill: refill, ended: make(chan refilled, 1)}
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for k.look(ctx); ; {
		select {
		case <-tick.C:
			k.look(ctx)
		case end := <-k.ended:
			k.finish(ctx, end)
		case <-ctx.Done():
			if k.busy {
				<-k.ended
			}
			return
		}
	}
}

// keeper is the state of Run.
type keeper struct {
	*Redis
	refill  func(context.Context, time.Time) error
	started bool // the first look at an answering Redis is over
	busy    bool
	ended   chan refilled
	notYet  time.Time // a failed refill is not tried again before
	failed  bool      // and was logged
}

type refilled struct {
	since, begin time.Time
	err          error
}

// look probes, and begins a refill where one is needed.
func (k *keeper) look(ctx context.Context) {
	covered, err := k.probe(ctx)
	if err != nil {
		if ctx.Err() == nil {
			k.trip(err)
		}
		return
	}
	k.reset()
	now := time.Now()
	if k.busy || now.Before(k.notYet) {
		return
	}
	since := missing(covered, k.take(), k.started, now)
	k.started = true
	if since.IsZero() {
		k.cover(ctx, now)
		return
	}
	k.busy = true
	go func() { k.ended <- refilled{since, now, k.refill(ctx, since)} }()
}

// missing is the time from which marks are missing; zero when none are. covered is zero in a Redis that was wiped or is
// new, and missed is zero when no mark failed.
func missing(covered, missed time.Time, started bool, now time.Time) time.Time {
	oldest := now.Add(-TTL)
	if covered.IsZero() {
		return oldest
	}
	since := now
	if !started || now.Sub(covered) > staleAfter {
		since = covered.Add(-margin)
	}
	if !missed.IsZero() && missed.Add(-margin).Before(since) {
		since = missed.Add(-margin)
	}
	switch {
	case since.Before(oldest):
		return oldest
	case since.Before(now):
		return since
	}
	return time.Time{}
}

func (k *keeper) finish(ctx context.Context, end refilled) {
	k.busy = false
	if end.err == nil {
		k.failed = false
		k.cover(ctx, end.begin)
		return
	}
	k.Missed(end.since.Add(margin))
	k.notYet = time.Now().Add(refillAgain)
	if !k.failed && ctx.Err() == nil {
		k.failed = true
		k.log.Warn("cannot refill Redis from the stream: trying again until it works", "since", end.since.UTC(), "error", end.err)
	}
}

// probe asks for the covered time, zero when it is not there. Reading says little about writing: cover writes.
func (r *Redis) probe(ctx context.Context) (covered time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	pipe := r.client.Pipeline()
	value := pipe.Get(ctx, coveredKey)
	pipe.Set(ctx, probeKey, "", time.Minute)
	if _, err := exec(ctx, pipe); err != nil {
		return time.Time{}, err
	}
	if ms, err := strconv.ParseInt(value.Val(), 10, 64); err == nil {
		return time.UnixMilli(ms), nil
	}
	return time.Time{}, nil
}

// probeKey is written by probes: a Redis that is full or read-only answers reads as ever.
const probeKey = coveredKey + ":probe"

// cover notes that what was stored before a time is marked.
func (r *Redis) cover(ctx context.Context, until time.Time) {
	err := r.ask(ctx, func(ctx context.Context) error {
		return r.client.Set(ctx, coveredKey, until.UnixMilli(), 0).Err()
	})
	if err != nil {
		r.log.Debug(fmt.Sprintf("cannot write %s", coveredKey), "error", err)
	}
}
