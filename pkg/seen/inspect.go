package seen

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Find returns the sequence in EVENTS that is remembered under a delivery id, for people who look for it. Of an id with
// several bodies it knows the first. The sequence is 0 where nothing is remembered.
func (r *Redis) Find(ctx context.Context, delivery string) (sequence uint64, err error) {
	err = r.ask(ctx, func(ctx context.Context) error {
		value, err := r.client.Get(ctx, keyPrefix+delivery).Result()
		if errors.Is(err, redis.Nil) {
			return nil
		}
		_, digits, _ := strings.Cut(value, ":")
		sequence, _ = strconv.ParseUint(digits, 10, 64) // anything else is not a mark of ours
		return err
	})
	return sequence, err
}

// EvictionPolicy is what Redis does when its memory is full, such as "volatile-ttl"; of a Cluster, one node's.
func (r *Redis) EvictionPolicy(ctx context.Context) (policy string, err error) {
	err = r.ask(ctx, func(ctx context.Context) error {
		info, err := r.client.Info(ctx, "memory").Result()
		_, rest, _ := strings.Cut(info, "maxmemory_policy:")
		policy, _, _ = strings.Cut(rest, "\r\n")
		return err
	})
	return policy, err
}
