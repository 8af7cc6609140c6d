package seen

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// coveredKey begins the key of a time, in milliseconds since 1970: what was stored before it is marked in this shard. It
// is gone with everything else when the shard is wiped, and old after an outage, a restart from an old snapshot, or a
// stop of the gateway.
const coveredKey = "sluice:seen"

// shard is what can be away, wiped or replaced by itself: the one Redis there is, or the masters of a Cluster by the
// slots they have. Whoever has these slots now, it is the same shard.
type shard struct {
	breaker
	gap
	slots   string // such as 0-5460; empty for all there are
	base    string // begins the keys about the shard itself
	covered string // the key of the time until which it is covered
	witness string // the key of what this process wrote last

	others atomic.Int64 // see heard

	// What marks lie in, in the layout Small.
	level   atomic.Int32 // of the next half-day's first generation
	listing sync.Mutex
	lists   map[int64]list // by half-day

	// The keeper's alone.
	started     bool // the first look at an answering shard is over
	born, wrote time.Time
}

// newShard makes the shard of these slots, whose keys lie where tag says.
func (r *Redis) newShard(what, address, slots, tag string) *shard {
	s := &shard{
		breaker: breaker{log: r.log, what: what, address: address, state: State{Since: time.Now()}, explain: r.explain},
		slots:   slots, base: coveredKey + tag, covered: coveredKey + tag, lists: map[int64]list{},
	}
	if r.layout == Small {
		s.covered += ":small"
		s.others.Store(notAsked)
	}
	s.witness = s.covered + ":" + r.process
	return s
}

// gap is the earliest time from which marks are missing as far as this process knows.
type gap struct {
	lock  sync.Mutex
	since time.Time
	open  atomic.Bool // from when it is known until it is refilled
}

// Missed says that something stored at that time could not be marked: the next refill begins there.
func (g *gap) Missed(since time.Time) {
	g.lock.Lock()
	defer g.lock.Unlock()
	g.open.Store(true)
	if g.since.IsZero() || since.Before(g.since) {
		g.since = since
	}
}

// refilled notes that nothing is missing any more, unless something was missed meanwhile.
func (g *gap) refilled() {
	g.lock.Lock()
	defer g.lock.Unlock()
	g.open.Store(!g.since.IsZero())
}

func (g *gap) take() (since time.Time) {
	g.lock.Lock()
	defer g.lock.Unlock()
	since, g.since = g.since, time.Time{}
	return since
}

// probe asks for the covered time, zero when it is not there, and writes, because a Redis that is full or read-only
// answers reads as ever. What it wrote before tells whether the shard has forgotten something: a replica that took over
// may not have had the last marks, nor may a server that restarted from its files.
func (r *Redis) probe(ctx context.Context, s *shard) (covered time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	now, pipe := time.Now(), r.client.Pipeline()
	value, others, kept := pipe.Get(ctx, s.covered), pipe.Get(ctx, s.base), pipe.Get(ctx, s.witness)
	pipe.Set(ctx, s.witness, now.UnixMilli(), TTL)
	if r.layout == Small {
		s.try(ctx, pipe)
	}
	if _, err := exec(ctx, pipe); err != nil {
		return time.Time{}, err
	}
	s.compare(parseTime(kept.Val()), now)
	if covered = parseTime(value.Val()); r.layout == Zorio {
		return covered, nil
	}
	return s.heard(parseTime(others.Val()), covered), nil
}

// try does all that the layout Small does: a user that lacks a right for it makes Redis away, and stays away.
func (s *shard) try(ctx context.Context, pipe redis.Pipeliner) {
	hash := s.base + ":try"
	pipe.Append(ctx, s.witness, "")
	pipe.HSetNX(ctx, hash, "", 0)
	pipe.Expire(ctx, hash, TTL)
	pipe.HExists(ctx, hash, "")
	pipe.HLen(ctx, hash)
}

// compare notes a gap where the shard holds something older than what it had acknowledged.
func (s *shard) compare(kept, now time.Time) {
	switch {
	case s.wrote.IsZero():
		s.born = now
	case kept.IsZero():
		s.Missed(s.born)
	case kept.Before(s.wrote):
		s.Missed(kept)
	}
	s.wrote = time.UnixMilli(now.UnixMilli())
}

// cover notes that what was stored before a time is marked.
func (r *Redis) cover(ctx context.Context, s *shard, until time.Time) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	err := s.ask(ctx, func(ctx context.Context) error {
		return r.client.Set(ctx, s.covered, until.UnixMilli(), TTL).Err()
	})
	if err != nil {
		r.log.Debug("cannot write "+s.covered, "error", err)
	}
}

func parseTime(digits string) time.Time {
	ms, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}
