package seen

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sluicehq/sluice/pkg/event"
)

// keyPrefix begins the keys of deliveries, as in the sender's sample receivers.
const keyPrefix = "zorio:delivery:"

// commandTimeout bounds one round trip, whatever Redis does; with what a busy machine adds, a request waits for a dead
// Redis 100 ms at most, and only the first one does.
const commandTimeout = 60 * time.Millisecond

// Redis remembers deliveries in Redis: a single one, behind Sentinels, or a Cluster. A delivery lies under
// zorio:delivery:<id> with the value <first 16 digits of the signature>:<sequence in EVENTS>. Another body under an id
// that is taken lies under zorio:delivery:<id>/<digits>; values that are not of this form, such as the "1" of a
// receiver that marks before it stores, count for nothing.
//
// The first command that fails makes Redis away: from then on Lookup and Mark return [ErrAway] at once, until a probe
// of Run's comes through. It is safe for concurrent use.
type Redis struct {
	client  redis.UniversalClient
	cluster bool
	breaker
	gap
}

// NewRedis makes a Redis of a REDIS_URL. It does not connect: whether Redis is there shows in Run. The error names
// what is wrong with the URL.
func NewRedis(url string, log *slog.Logger) (*Redis, error) {
	options, err := parseURL(url)
	if err != nil {
		return nil, err
	}
	redis.SetLogger(clientLog{log})
	r := &Redis{client: redis.NewUniversalClient(options)}
	_, r.cluster = r.client.(*redis.ClusterClient)
	r.breaker = breaker{log: log, address: strings.Join(options.Addrs, ","), state: State{Since: time.Now()}}
	return r, nil
}

// Lookup sets seen[i] where identities[i] is remembered, in one round trip; a second one follows for ids that are
// taken by another body. An error means that nothing is known.
func (r *Redis) Lookup(ctx context.Context, identities []string, seen []bool) error {
	return r.ask(ctx, func(ctx context.Context) error {
		taken, err := r.lookup(ctx, identities, seen, shortKey)
		if err != nil || len(taken) == 0 {
			return err
		}
		again, found := pick(identities, taken), make([]bool, len(taken))
		if _, err := r.lookup(ctx, again, found, longKey); err != nil {
			return err
		}
		for i, at := range taken {
			seen[at] = found[i]
		}
		return nil
	})
}

// lookup also returns which keys hold something else than their identity.
func (r *Redis) lookup(ctx context.Context, identities []string, seen []bool, key func(string) string) (taken []int, err error) {
	values, err := r.get(ctx, identities, key)
	for i, value := range values {
		seen[i] = isMarkOf(value, identities[i])
		if value != "" && !seen[i] {
			taken = append(taken, i)
		}
	}
	return taken, err
}

// get reads one key an identity; "" where there is none.
func (r *Redis) get(ctx context.Context, identities []string, key func(string) string) ([]string, error) {
	keys := make([]string, len(identities))
	for i, identity := range identities {
		keys[i] = key(identity)
	}
	if r.cluster || len(keys) == 0 {
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

// getEach asks a Cluster, which refuses one command about keys that lie apart.
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
// remembered already stays as it is. After an error some of it may be remembered.
func (r *Redis) Mark(ctx context.Context, marks []Mark) error {
	return r.ask(ctx, func(ctx context.Context) error {
		refused, err := r.mark(ctx, marks, shortKey)
		if err != nil || len(refused) == 0 {
			return err
		}
		values, err := r.get(ctx, identitiesOf(refused), shortKey)
		if err != nil {
			return err
		}
		_, err = r.mark(ctx, othersThan(values, refused), longKey)
		return err
	})
}

// mark returns the marks whose keys are taken.
func (r *Redis) mark(ctx context.Context, marks []Mark, key func(string) string) (refused []Mark, err error) {
	now, pipe := time.Now(), r.client.Pipeline()
	sent := make([]Mark, 0, len(marks))
	for _, m := range marks {
		if left := m.left(now); left > 0 {
			_, signature := event.SplitIdentity(m.Identity)
			pipe.SetNX(ctx, key(m.Identity), signature+":"+strconv.FormatUint(m.Sequence, 10), left)
			sent = append(sent, m)
		}
	}
	commands, err := exec(ctx, pipe)
	if err != nil {
		return nil, err
	}
	for i, command := range commands {
		if !command.(*redis.BoolCmd).Val() {
			refused = append(refused, sent[i])
		}
	}
	return refused, nil
}

// ask sends one batch within its time, unless Redis is away.
func (r *Redis) ask(ctx context.Context, batch func(context.Context) error) error {
	if r.away.Load() {
		return ErrAway
	}
	bounded, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	err := batch(bounded)
	if err != nil && ctx.Err() == nil { // a caller that gave up says nothing about Redis
		r.trip(err)
	}
	return err
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

func isMarkOf(value, identity string) bool {
	_, signature := event.SplitIdentity(identity)
	rest, same := strings.CutPrefix(value, signature)
	return same && strings.HasPrefix(rest, ":")
}

func pick(all []string, which []int) []string {
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
func othersThan(values []string, marks []Mark) (others []Mark) {
	for i, m := range marks {
		if !isMarkOf(values[i], m.Identity) {
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
