package seen

import (
	"cmp"
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sluicehq/sluice/pkg/event"
)

// In the layout of the sender's sample receivers a delivery lies under zorio:delivery:<id>, with the value
// <first 16 digits of the signature>:<sequence in EVENTS>@<when EVENTS was made>. Another body under an id that is taken
// lies under zorio:delivery:<id>/<digits>; values that are not of this form, such as the "1" of a receiver that marks
// before it stores, count for nothing, and neither do those about a stream that is gone.

// keyPrefix begins the keys of deliveries.
const keyPrefix = "zorio:delivery:"

// lookupZorio takes one round trip; a second one follows for ids that are taken by another body.
func (r *Redis) lookupZorio(ctx context.Context, identities []string, seen []bool) error {
	taken, err := r.lookupOf(ctx, identities, seen, shortKey)
	if len(taken) == 0 {
		return err
	}
	again, found := pick(identities, taken), make([]bool, len(taken))
	_, err2 := r.lookupOf(ctx, again, found, longKey)
	for i, at := range taken {
		seen[at] = found[i]
	}
	return cmp.Or(err, err2)
}

// lookupOf also returns which keys hold something else than their identity.
func (r *Redis) lookupOf(ctx context.Context, identities []string, seen []bool, key func(string) string) (taken []int, err error) {
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
	_, err := r.ask(ctx, keys, func(ctx context.Context, _ *shard, which []int) error {
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

func (r *Redis) markZorio(ctx context.Context, marks []Mark) error {
	refused, err := r.markOf(ctx, marks, shortKey)
	if len(refused) == 0 {
		return err
	}
	values, _ := r.get(ctx, identitiesOf(refused), shortKey) // what it cannot read is tried below
	_, err2 := r.markOf(ctx, r.othersThan(values, refused), longKey)
	return cmp.Or(err, err2)
}

// markOf returns the marks whose keys are taken. What could not be marked is a gap of its shard.
func (r *Redis) markOf(ctx context.Context, marks []Mark, key func(string) string) (refused []Mark, err error) {
	now, keys := time.Now(), keysOf(identitiesOf(marks), key)
	taken := make([]bool, len(marks))
	failed, err := r.ask(ctx, keys, func(ctx context.Context, _ *shard, which []int) error {
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
	r.missed(marks, keys, failed)
	for i, m := range marks {
		if taken[i] {
			refused = append(refused, m)
		}
	}
	return refused, err
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

// othersThan leaves out the marks that the values already are.
func (r *Redis) othersThan(values []string, marks []Mark) (others []Mark) {
	for i, m := range marks {
		if !r.isMarkOf(values[i], m.Identity) {
			others = append(others, m)
		}
	}
	return others
}

func (r *Redis) findZorio(ctx context.Context, delivery string) (sequence uint64, err error) {
	values, err := r.get(ctx, []string{delivery}, func(string) string { return keyPrefix + delivery })
	_, digits, _ := strings.Cut(values[0], ":")
	digits, _, _ = strings.Cut(digits, ofStream)
	sequence, _ = strconv.ParseUint(digits, 10, 64) // anything else is not a mark of ours
	return sequence, err
}
