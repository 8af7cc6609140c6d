package seen

import (
	"context"
	"math"
	"time"
)

// What Redis remembers in the layout that was the only one until now, and still is with
// SLUICE_SEEN_LAYOUT=zorio, is not forgotten. The time that such gateways write, until which all is marked, expires with
// the last of their marks: as long as it is there, their layout is looked up as well; and as long as it moves, because
// one of them still runs, it is marked as well, so that they know too.

// notAsked is the time of the others before the first probe: there may be some.
const notAsked = math.MaxInt64

// heard notes until when gateways of the layout Zorio have marked all, zero for none, and returns until when the shard is
// covered in one layout or the other.
func (s *shard) heard(others, covered time.Time) time.Time {
	if others.IsZero() {
		s.others.Store(0)
		return covered
	}
	s.others.Store(others.UnixMilli())
	if others.After(covered) {
		return others
	}
	return covered
}

// afterOthers reports whether marks in the other layout may be there.
func (r *Redis) afterOthers() bool {
	for _, s := range r.shards.Load().list {
		if s.others.Load() != 0 {
			return true
		}
	}
	return false
}

// besideOthers reports whether a gateway of the other layout runs.
func (r *Redis) besideOthers() bool {
	for _, s := range r.shards.Load().list {
		if s.others.Load() > time.Now().Add(-staleAfter).UnixMilli() {
			return true
		}
	}
	return false
}

// lookupOthers looks for what is not seen yet.
func (r *Redis) lookupOthers(ctx context.Context, identities []string, seen []bool) error {
	if !r.afterOthers() {
		return nil
	}
	var unseen []int
	for i := range identities {
		if !seen[i] {
			unseen = append(unseen, i)
		}
	}
	found := make([]bool, len(unseen))
	err := r.lookupZorio(ctx, pick(identities, unseen), found)
	for i, at := range unseen {
		seen[at] = found[i]
	}
	return err
}
