package seen

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sluicehq/sluice/internal/secure"
)

// commandTimeout bounds one round trip, whatever Redis does; with what a busy machine adds, a request waits for a dead
// Redis 100 ms at most, and only the first one does.
const commandTimeout = 60 * time.Millisecond

// Layout is how deliveries lie in Redis.
type Layout string

const (
	Small Layout = "small" // about 37 bytes each; see small.go
	Zorio Layout = "zorio" // about 200 bytes each, as in the sender's sample receivers; see zorio.go
)

// Redis remembers deliveries in a Redis: a single one, behind Sentinels, or a Cluster. What is remembered in the other
// layout counts as well: see others.go.
//
// The first command that fails makes its shard away: from then on nothing is asked about the keys of that shard, and
// about the others as ever, until a probe of Run's comes through. It is safe for concurrent use.
type Redis struct {
	client  redis.UniversalClient
	layout  Layout
	cluster bool
	log     *slog.Logger
	process string            // a name of this process, for its own keys
	explain func(error) error // adds the remedy to an error of TLS
	shards  atomic.Pointer[shards]

	adopting sync.Mutex // one at a time takes over who has which slots

	stream atomic.Int64 // when EVENTS was made, in milliseconds since 1970; 0 before the first word of Of
}

// NewRedis makes a Redis of a REDIS_URL, and of the files that secure rediss://. It does not connect: whether Redis is there shows in Run. The error names
// what is wrong with the URL.
func NewRedis(url string, files secure.Files, layout Layout, log *slog.Logger) (*Redis, error) {
	options, err := parseURL(url, files)
	if err != nil {
		return nil, err
	}
	redis.SetLogger(clientLog{log})
	dial := &dialer{files: files}
	if options.TLSConfig != nil {
		dial.anybody = options.TLSConfig.InsecureSkipVerify
		options.Dialer, options.DialTimeout = dial.secured, tlsTimeout
	}
	r := &Redis{client: redis.NewUniversalClient(options), layout: layout, log: log, process: rand.Text(), explain: dial.explain}
	_, r.cluster = r.client.(*redis.ClusterClient)
	all := r.newShard("Redis", strings.Join(options.Addrs, ","), "", "")
	r.shards.Store(&shards{list: []*shard{all}})
	return r, nil
}

// Lookup sets seen[i] where identities[i] is remembered, in one round trip; a second one follows where a generation of
// hashes is new, and for what may be remembered in the other layout. An error means that of some nothing is known: they
// are not seen.
func (r *Redis) Lookup(ctx context.Context, identities []string, seen []bool) error {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	if r.layout == Zorio {
		return r.lookupZorio(ctx, identities, seen)
	}
	err := r.lookupSmall(ctx, identities, seen)
	return cmp.Or(err, r.lookupOthers(ctx, identities, seen))
}

// Lacks reports whether marks are missing until a refill ends: what Lookup does not know may be stored all the same.
func (r *Redis) Lacks() bool {
	return slices.ContainsFunc(r.shards.Load().list, func(s *shard) bool { return s.open.Load() })
}

// Mark remembers what is stored, as durably as Redis does. What is older than [TTL] is left out, and what is
// remembered already stays as it is. After an error some of it may not be remembered; Run marks that again.
func (r *Redis) Mark(ctx context.Context, marks []Mark) error {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	marks = young(marks, time.Now())
	if r.layout == Zorio {
		return r.markZorio(ctx, marks)
	}
	err := r.markSmall(ctx, marks)
	if r.besideOthers() {
		err = cmp.Or(err, r.markZorio(ctx, marks))
	}
	return err
}

// Missed notes that a delivery stored at that time could not be marked: the next refill begins there.
func (r *Redis) Missed(since time.Time) {
	for _, s := range r.shards.Load().list {
		s.Missed(since)
	}
}

// missed notes which marks are missing in the shards of their keys.
func (r *Redis) missed(marks []Mark, keys []string, failed []int) {
	for _, at := range failed {
		r.shards.Load().of(keys[at]).Missed(marks[at].Stored)
	}
}

// ask sends one batch to each shard that has some of the keys and is not away, side by side: a pipeline through the
// client would let a dead one take the others down with it. It returns the places of the keys that got no answer.
func (r *Redis) ask(ctx context.Context, keys []string, batch func(ctx context.Context, s *shard, which []int) error) (failed []int, err error) {
	shards := r.shards.Load()
	parts, errs := shards.split(keys), make([]error, len(shards.list))
	var asking sync.WaitGroup
	for i, which := range parts {
		one := func() {
			errs[i] = shards.list[i].ask(ctx, func(ctx context.Context) error { return batch(ctx, shards.list[i], which) })
		}
		switch len(which) {
		case 0:
		case len(keys):
			one()
		default:
			asking.Go(one)
		}
	}
	asking.Wait()
	for i := range parts {
		if errs[i] != nil {
			failed, err = append(failed, parts[i]...), errs[i]
		}
	}
	return failed, err
}

// exec runs a pipeline. The absence of a key is no error.
func exec(ctx context.Context, pipe redis.Pipeliner) ([]redis.Cmder, error) {
	if pipe.Len() == 0 {
		return nil, nil
	}
	commands, err := pipe.Exec(ctx)
	if err == nil {
		return commands, nil
	}
	for _, command := range commands {
		if err := command.Err(); err != nil && !errors.Is(err, redis.Nil) {
			return nil, err
		}
	}
	if !errors.Is(err, redis.Nil) {
		return nil, err
	}
	return commands, nil
}

// young leaves out the marks that are worth keeping no longer.
func young(marks []Mark, now time.Time) []Mark {
	keep := make([]Mark, 0, len(marks))
	for _, m := range marks {
		if m.left(now) > 0 {
			keep = append(keep, m)
		}
	}
	return keep
}

// pick returns those at these places, which are in order.
func pick(all []string, which []int) []string {
	if len(which) == len(all) {
		return all
	}
	some := make([]string, len(which))
	for i, at := range which {
		some[i] = all[at]
	}
	return some
}

func identitiesOf(marks []Mark) []string {
	identities := make([]string, len(marks))
	for i, m := range marks {
		identities[i] = m.Identity
	}
	return identities
}

// keys are those that an identity may lie under.
func (r *Redis) keys(identity string) []string {
	if r.layout == Small {
		return []string{tagKeys[spotOf(identity).tag]}
	}
	return []string{shortKey(identity), longKey(identity)}
}

// Close closes the connections. Call it when Run has returned.
func (r *Redis) Close() error { return r.client.Close() }

// clientLog takes the client's own lines, about single connections; the breaker says what matters.
type clientLog struct{ log *slog.Logger }

func (l clientLog) Printf(_ context.Context, format string, v ...any) {
	l.log.Debug("redis: " + fmt.Sprintf(format, v...))
}
