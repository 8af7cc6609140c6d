package seen

import (
	"context"
	"fmt"
	"strings"
)

// Find returns the sequence in EVENTS that is remembered under a delivery id, for people who look for it. Of an id with
// several bodies it knows the first. The sequence is 0 where nothing is remembered.
func (r *Redis) Find(ctx context.Context, delivery string) (sequence uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	if r.layout == Small {
		if sequence, err = r.findSmall(ctx, delivery); sequence != 0 || err != nil || !r.afterOthers() {
			return sequence, err
		}
	}
	return r.findZorio(ctx, delivery)
}

// EvictionPolicy is what Redis does when its memory is full, such as "volatile-ttl"; of a Cluster, one node's.
func (r *Redis) EvictionPolicy(ctx context.Context) (policy string, err error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	info, err := r.client.Info(ctx, "memory").Result()
	_, rest, _ := strings.Cut(info, "maxmemory_policy:")
	policy, _, _ = strings.Cut(rest, "\r\n")
	return policy, err
}

// State returns at once, without asking Redis. A Cluster is away if one of its shards is; Err names all of them.
func (r *Redis) State() (all State) {
	for _, s := range r.shards.Load().list {
		one := s.State()
		if one.Away && r.cluster {
			one.Err = fmt.Errorf("shard %s: %w", s.name(), one.Err)
		}
		all = all.and(one)
	}
	return all
}

// and is the state of two: away as soon as one is, since the first is away or the last came back.
func (s State) and(other State) State {
	switch {
	case s.Away && other.Away:
		s.Err = fmt.Errorf("%w; %w", s.Err, other.Err)
		if other.Since.Before(s.Since) {
			s.Since = other.Since
		}
	case other.Away, !s.Away && other.Since.After(s.Since):
		return other
	}
	return s
}
