package seen

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicehq/sluice/internal/secure"
)

// State is whether Redis is away, and since when it is or is not.
type State struct {
	Away  bool
	Since time.Time
	Err   error // why it is away
}

// Remedy is what to do about a Redis that is away: a full one, or one that lets nobody in, is there already.
func (s State) Remedy() string { return remedy(s.Err) }

// breaker keeps requests from asking a Redis that does not answer. The first failure opens it, and only a probe closes
// it: no request is the one that finds out.
type breaker struct {
	log     *slog.Logger
	what    string            // "Redis", or a shard of it
	explain func(error) error // adds the remedy where TLS is the cause
	away    atomic.Bool

	mu      sync.Mutex
	address string
	state   State
}

// ask sends one batch, unless the breaker is open. A batch that fails opens it.
func (b *breaker) ask(ctx context.Context, batch func(context.Context) error) error {
	if b.away.Load() {
		return ErrAway
	}
	err := b.explain(batch(ctx))
	if err != nil && !errors.Is(err, context.Canceled) { // a caller that gave up says nothing about Redis
		b.trip(err)
	}
	return err
}

// trip opens the breaker and says so, once, and once more when only a later failure tells what to mend: a busy Redis
// may be silent before it refuses a password.
func (b *breaker) trip(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	err = b.explain(err)
	now, told := remedy(err), b.state.Err
	switch {
	case !b.away.Swap(true):
		b.state = State{Away: true, Since: time.Now(), Err: err}
		b.log.Warn(b.what+" is away: deduplicating with the stream's duplicate window of 5 minutes alone",
			"redis", b.address, "error", err, "remedy", now)
	case now != anyRemedy && now != remedy(told):
		b.state.Err = err
		b.log.Warn(b.what+" is still away: the cause is known now", "redis", b.address, "error", err, "remedy", now)
	}
}

// reset closes it.
func (b *breaker) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.away.Swap(false) {
		return
	}
	b.log.Info(b.what+" is back", "redis", b.address, "away", time.Since(b.state.Since).Round(time.Millisecond))
	b.state = State{Since: time.Now()}
}

// State is safe to ask at any time and does not ask Redis.
func (b *breaker) State() State {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state
}

// name is the address that it is known by, which another one may take over.
func (b *breaker) name() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.address
}

func (b *breaker) rename(address string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.address = address
}

func remedy(err error) string {
	var unsecured *secure.Error
	if errors.As(err, &unsecured) {
		return unsecured.Remedy + "; nothing is lost meanwhile"
	}
	text := err.Error()
	for _, word := range []string{"NOAUTH", "WRONGPASS", "NOPERM"} {
		if strings.Contains(text, word) {
			return "correct user and password in REDIS_URL; the user needs GET, MGET, SET, APPEND, EXPIRE, HEXISTS, HSETNX, HLEN, HGETALL and PING on " +
				coveredKey + "*, GET, MGET and SET on " + keyPrefix + "*, and CLUSTER in a Cluster"
		}
	}
	switch {
	case strings.Contains(text, "OOM"):
		return "Redis is full: raise maxmemory, or set maxmemory-policy volatile-ttl"
	case strings.Contains(text, "READONLY"):
		return "this is a replica: let REDIS_URL name the master, or the Sentinels with ?master_name=…"
	case errors.Is(err, io.EOF):
		return "Redis ended the connection: if this port takes TLS, use rediss:// in REDIS_URL"
	case strings.Contains(text, "CLUSTERDOWN"):
		return "start the shard that is away, or give its slots to another; with cluster-require-full-coverage no, the others go on meanwhile"
	}
	return anyRemedy
}

const anyRemedy = "start Redis, or correct REDIS_URL; nothing is lost meanwhile"
