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
	"github.com/sluicehq/sluice/pkg/event"
)

// keyPrefix begins the keys of deliveries, as in the sender's sample receivers.
const keyPrefix = "zorio:delivery:"

// commandTimeout bounds one round trip, whatever Redis does; with what a busy machine adds, a request waits for a dead
// Redis 100 ms at most, and only the first one does.
const commandTimeout = 60 * time.Millisecond

// Redis remembers deliveries in a Redis: a single one, behind Sentinels, or a Cluster. A delivery lies under
// zorio:delivery:<id> with the value <first 16 digits of the signature>:<sequence in EVENTS>@<when EVENTS was made>.
// Another body under an id that is taken lies under zorio:delivery:<id>/<digits>; values that are not of this form,
// such as the "1" of a receiver that marks before it stores, count for nothing, and neither do those about a stream
// that is gone.
//
// The first command that fails makes its shard away: from then on nothing is asked about the keys of that shard, and
// about the others as ever, until a probe of Run's comes through. It is safe for concurrent use.
type Redis struct {
	client  redis.UniversalClient
	cluster bool
	log     *slog.Logger
	process string            // a name of this process, for its own keys
	explain func(error) error // adds the remedy to an error of TLS
	shards  atomic.Pointer[shards]
	stream  atomic.Int64 // when EVENTS was made, in milliseconds since 1970; 0 before the first word of Of
}

// NewRedis makes a Redis of a REDIS_URL, and of the files that secure rediss://. It does not connect: whether Redis is there shows in Run. The error names
// what is wrong with the URL.
func NewRedis(url string, files secure.Files, log *slog.Logger) (*Redis, error) {
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
	r := &Redis{client: redis.NewUniversalClient(options), log: log, process: rand.Text(), explain: dial.explain}
	_, r.cluster = r.client.(*redis.ClusterClient)
	all := r.newShard("Redis", strings.Join(options.Addrs, ","), "", "")
	r.shards.Store(&shards{list: []*shard{all}})
	return r, nil
}

// Lookup sets seen[i] where identities[i] is remembered, in one round trip; a second one follows for ids that are
// taken by another body. An error means that of some nothing is known: they are not seen.
func (r *Redis) Lookup(ctx context.Context, identities []string, seen []bool) error {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	taken, err := r.lookup(ctx, identities, seen, shortKey)
	if len(taken) == 0 {
		return err
	}
	again, found := pick(identities, taken), make([]bool, len(taken))
	_, err2 := r.lookup(ctx, again, found, longKey)
	for i, at := range taken {
		seen[at] = found[i]
	}
	return cmp.Or(err, err2)
}

// Lacks reports whether marks are missing until a refill ends: what Lookup does not know may be stored all the same.
func (r *Redis) Lacks() bool {
	return slices.ContainsFunc(r.shards.Load().list, func(s *shard) bool { return s.open.Load() })
}

// lookup also returns which keys hold something else than their identity.
func (r *Redis) lookup(ctx context.Context, identities []string, seen []bool, key func(string) string) (taken []int, err error) {
	values, err := r.get(ctx, identities, key)
	for i, value := range values {
		seen[i] = r.isMarkOf(value, identities[i])
		if value != "" && !seen[i] {
			taken = append(taken, i)
		}
	}
	return taken, err
}

// get reads one key an identity; "" where there is none, or its shard did not answer.
func (r *Redis) get(ctx context.Context, identities []string, key func(string) string) ([]string, error) {
	keys, values := keysOf(identities, key), make([]string, len(identities))
	_, err := r.ask(ctx, keys, func(ctx context.Context, which []int) error {
		found, err := r.getSome(ctx, pick(keys, which))
		for i, value := range found {
			values[which[i]] = value
		}
		return err
	})
	return values, err
}

// getSome reads keys of one shard. A Cluster refuses one command about several slots.
func (r *Redis) getSome(ctx context.Context, keys []string) ([]string, error) {
	if r.cluster {
		return r.getEach(ctx, keys)
	}
	found, err := r.client.MGet(ctx, keys...).Result()
	if err != nil {
		return nil, err
	}
	values := make([]string, len(found))
	for i, value := range found {
		values[i], _ = value.(string) // nil where there is none
	}
	return values, nil
}

func (r *Redis) getEach(ctx context.Context, keys []string) ([]string, error) {
	pipe := r.client.Pipeline()
	for _, key := range keys {
		pipe.Get(ctx, key)
	}
	commands, err := exec(ctx, pipe)
	if err != nil {
		return nil, err
	}
	values := make([]string, len(commands))
	for i, command := range commands {
		values[i] = command.(*redis.StringCmd).Val()
	}
	return values, nil
}

// Mark remembers what is stored, as durably as Redis does. What is older than [TTL] is left out, and what is
// remembered already stays as it is. After an error some of it may not be remembered; Run marks that again.
func (r *Redis) Mark(ctx context.Context, marks []Mark) error {
	bounded, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	refused, err := r.mark(bounded, young(marks, time.Now()), shortKey)
	if len(refused) == 0 {
		return err
	}
	values, _ := r.get(bounded, identitiesOf(refused), shortKey) // what it cannot read is tried below
	_, err2 := r.mark(bounded, r.othersThan(values, refused), longKey)
	return cmp.Or(err, err2)
}

// mark returns the marks whose keys are taken. What could not be marked is a gap of its shard.
func (r *Redis) mark(ctx context.Context, marks []Mark, key func(string) string) (refused []Mark, err error) {
	now, keys := time.Now(), keysOf(identitiesOf(marks), key)
	taken := make([]bool, len(marks))
	failed, err := r.ask(ctx, keys, func(ctx context.Context, which []int) error {
		pipe := r.client.Pipeline()
		for _, at := range which {
			_, signature := event.SplitIdentity(marks[at].Identity)
			pipe.SetNX(ctx, keys[at], r.valueOf(signature, marks[at].Sequence), max(time.Second, marks[at].left(now)))
		}
		commands, err := exec(ctx, pipe)
		for i, command := range commands {
			taken[which[i]] = !command.(*redis.BoolCmd).Val()
		}
		return err
	})
	for _, at := range failed {
		r.shards.Load().of(keys[at]).Missed(marks[at].Stored)
	}
	for i, m := range marks {
		if taken[i] {
			refused = append(refused, m)
		}
	}
	return refused, err
}

// Missed notes that a delivery stored at that time could not be marked: the next refill begins there.
func (r *Redis) Missed(since time.Time) {
	for _, s := range r.shards.Load().list {
		s.Missed(since)
	}
}

// ask sends one batch to each shard that has some of the keys and is not away, side by side: a pipeline through the
// client would let a dead one take the others down with it. It returns the places of the keys that got no answer.
func (r *Redis) ask(ctx context.Context, keys []string, batch func(ctx context.Context, which []int) error) (failed []int, err error) {
	shards := r.shards.Load()
	parts, errs := shards.split(keys), make([]error, len(shards.list))
	var asking sync.WaitGroup
	for i, which := range parts {
		one := func() {
			errs[i] = shards.list[i].ask(ctx, func(ctx context.Context) error { return batch(ctx, which) })
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

func shortKey(identity string) string {
	delivery, _ := event.SplitIdentity(identity)
	return keyPrefix + delivery
}

func longKey(identity string) string { return keyPrefix + identity }

func keysOf(identities []string, key func(string) string) []string {
	keys := make([]string, len(identities))
	for i, identity := range identities {
		keys[i] = key(identity)
	}
	return keys
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

// othersThan leaves out the marks that the values already are.
func (r *Redis) othersThan(values []string, marks []Mark) (others []Mark) {
	for i, m := range marks {
		if !r.isMarkOf(values[i], m.Identity) {
			others = append(others, m)
		}
	}
	return others
}

// Close closes the connections. Call it when Run has returned.
func (r *Redis) Close() error { return r.client.Close() }

// clientLog takes the client's own lines, about single connections; the breaker says what matters.
type clientLog struct{ log *slog.Logger }

func (l clientLog) Printf(_ context.Context, format string, v ...any) {
	l.log.Debug("redis: " + fmt.Sprintf(format, v...))
}
