package seen

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

const (
	probeEvery  = 500 * time.Millisecond
	staleAfter  = 10 * time.Second // a covered time that nobody moved for so long means a gap
	margin      = 10 * time.Second // between a store and its mark, and between clocks
	refillAgain = 2 * time.Second
)

// Marker is what a refill marks into: the shards of Redis that have a gap, and no others.
type Marker interface {
	Mark(ctx context.Context, marks []Mark) error
}

// Refill marks again what was stored since a time.
type Refill func(ctx context.Context, into Marker, since time.Time) error

// Run probes Redis, each shard of it, and refills it where marks are missing, until ctx ends: after it was wiped, after
// it was away, after the gateway was, and after a replica took over that had not everything. refill may be called many
// times, never twice at once, and is called again when it fails.
func (r *Redis) Run(ctx context.Context, refill Refill) {
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
			if k.busy != nil {
				<-k.ended
			}
			return
		}
	}
}

// keeper is the state of Run.
type keeper struct {
	*Redis
	refill Refill
	busy   gaps // being refilled; nil when nothing is
	ended  chan refilled
	notYet time.Time // a failed refill is not tried again before
	failed bool      // and was logged
}

// gaps are the shards where marks are missing, and since when.
type gaps map[*shard]time.Time

func (g gaps) first() time.Time {
	return slices.MinFunc(slices.Collect(maps.Values(g)), time.Time.Compare)
}

// remain gives the gaps back to their shards, for the next refill.
func (g gaps) remain() {
	for s, since := range g {
		s.Missed(since.Add(margin))
	}
}

type refilled struct {
	begin time.Time
	err   error
}

// look probes, and begins a refill where one is needed.
func (k *keeper) look(ctx context.Context) {
	if err := k.learn(ctx); err != nil {
		k.unreachable(ctx, err)
		return
	}
	answers := k.probeAll(ctx)
	now := time.Now()
	due := gaps{}
	for s, covered := range answers {
		if _, filling := k.busy[s]; filling {
			continue
		}
		if since := s.missing(covered, now); since.IsZero() {
			k.cover(ctx, s, now)
			s.refilled()
		} else {
			s.open.Store(true)
			due[s] = since
		}
	}
	switch {
	case len(due) == 0:
	case k.busy != nil, now.Before(k.notYet):
		due.remain()
	default:
		k.busy = due
		go func() { k.ended <- refilled{now, k.refill(ctx, &part{k.Redis, due}, due.first())} }()
	}
}

// unreachable opens every breaker of a Cluster that nobody has told anything about yet.
func (k *keeper) unreachable(ctx context.Context, err error) {
	for _, s := range k.shards.Load().list {
		if ctx.Err() == nil {
			s.trip(err)
		}
	}
}

// probeAll probes every shard, and returns until when those that answered are covered.
func (k *keeper) probeAll(ctx context.Context) map[*shard]time.Time {
	list := k.shards.Load().list
	covered, errs := make([]time.Time, len(list)), make([]error, len(list))
	var probing sync.WaitGroup
	for i, s := range list {
		probing.Go(func() { covered[i], errs[i] = k.probe(ctx, s) })
	}
	probing.Wait()
	answers := map[*shard]time.Time{}
	for i, s := range list {
		switch {
		case errs[i] == nil:
			s.reset()
			k.grow(ctx, s)
			answers[s] = covered[i]
		case ctx.Err() == nil:
			s.trip(errs[i])
		}
	}
	return answers
}

// missing is the time from which marks are missing in a shard that says until when it is covered; zero when none are.
func (s *shard) missing(covered, now time.Time) time.Time {
	since := missing(covered, s.take(), s.started, now)
	s.started = true
	return since
}

// missing decides. covered is zero in a Redis that was wiped or is new, and missed is zero when no mark failed.
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
	done := k.busy
	k.busy = nil
	if end.err == nil {
		k.failed = false
		k.coverAll(ctx, done, end.begin)
		return
	}
	done.remain()
	k.notYet = time.Now().Add(refillAgain)
	if !k.failed && ctx.Err() == nil {
		k.failed = true
		k.log.Warn("cannot refill Redis from the stream: retrying", "since", done.first().UTC(), "error", end.err)
	}
}

// coverAll notes what a refill has done. Where slots changed hands meanwhile, some of it went elsewhere.
func (k *keeper) coverAll(ctx context.Context, done gaps, until time.Time) {
	now := k.shards.Load().list
	for s, since := range done {
		if slices.Contains(now, s) {
			k.cover(ctx, s, until)
			s.refilled()
		} else {
			k.Missed(since.Add(margin))
		}
	}
}

// part is the shards that a refill is for.
type part struct {
	*Redis
	gaps gaps
}

// Mark leaves out what lies elsewhere. Of another shard's trouble it says nothing: that shard has a gap of its own then.
func (p *part) Mark(ctx context.Context, marks []Mark) error {
	shards := p.shards.Load()
	own := make([]Mark, 0, len(marks))
	for _, m := range marks {
		if slices.ContainsFunc(p.keys(m.Identity), func(key string) bool { return p.has(shards, key) }) {
			own = append(own, m)
		}
	}
	if err := p.Redis.Mark(ctx, own); ctx.Err() != nil || p.away() {
		return err
	}
	return nil
}

func (p *part) has(all *shards, key string) bool {
	_, has := p.gaps[all.of(key)]
	return has
}

func (p *part) away() bool {
	for s := range p.gaps {
		if s.away.Load() {
			return true
		}
	}
	return false
}
