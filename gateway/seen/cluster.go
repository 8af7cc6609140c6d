package seen

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// slotCount is how many slots a Cluster spreads its keys over.
const slotCount = 16384

// shards are all there is, and which slot is whose.
type shards struct {
	list  []*shard
	owner []uint16 // slot → place in the list; empty when there is but one
}

// of is the shard that has a key.
func (s *shards) of(key string) *shard { return s.list[s.at(key)] }

func (s *shards) at(key string) int {
	if len(s.list) == 1 {
		return 0
	}
	return int(s.owner[slotOf(key)])
}

// split sorts the places of keys by shard.
func (s *shards) split(keys []string) [][]int {
	parts := make([][]int, len(s.list))
	for i, key := range keys {
		at := s.at(key)
		if parts[at] == nil {
			parts[at] = make([]int, 0, len(keys))
		}
		parts[at] = append(parts[at], i)
	}
	return parts
}

// learn asks a Cluster who has which slots. Without an answer what was known may still be right: an error says that
// nothing was known.
func (r *Redis) learn(ctx context.Context) error {
	cluster, is := r.client.(*redis.ClusterClient)
	if !is {
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	switch slots, err := cluster.ClusterSlots(bounded).Result(); { //nolint:staticcheck // CLUSTER SHARDS would need Redis 7
	case err == nil && len(slots) > 0:
		if r.adopt(bySlots(slots)) {
			cluster.ReloadState(ctx) // the client would find out within 10 s
		}
	case r.shards.Load().owner == nil:
		return cmp.Or(err, errNoSlots)
	}
	return nil
}

var errNoSlots = errors.New("this Redis Cluster has no slots: create it with redis-cli --cluster create")

// holding is who has which slots.
type holding struct {
	address string
	ranges  []redis.ClusterSlot
}

// bySlots collects the slots of each master, and those that nobody has.
func bySlots(slots []redis.ClusterSlot) (all []*holding) {
	slices.SortFunc(slots, func(a, b redis.ClusterSlot) int { return cmp.Compare(a.Start, b.Start) })
	of := map[string]*holding{}
	add := func(address string, one redis.ClusterSlot) {
		if of[address] == nil {
			of[address] = &holding{address: address}
			all = append(all, of[address])
		}
		of[address].ranges = append(of[address].ranges, one)
	}
	next := 0
	for _, one := range append(slots, redis.ClusterSlot{Start: slotCount}) {
		if one.Start > next {
			add(nobody, redis.ClusterSlot{Start: next, End: one.Start - 1})
		}
		if next = one.End + 1; len(one.Nodes) > 0 {
			add(one.Nodes[0].Addr, one)
		}
	}
	return all
}

const nobody = "slots without a node"

// name is what it is known by: the slots.
func (h *holding) name() string {
	texts := make([]string, len(h.ranges))
	for i, one := range h.ranges {
		texts[i] = fmt.Sprintf("%d-%d", one.Start, one.End)
	}
	return strings.Join(texts, ",")
}

// tag makes keys lie in the first of the slots, and differ where any of the slots does.
func (h *holding) tag() string {
	digest := fnv.New64a()
	_, _ = digest.Write([]byte(h.name()))
	for n := 0; ; n++ {
		if digits := strconv.Itoa(n); slotOf(digits) == h.ranges[0].Start {
			return fmt.Sprintf(":{%s}:%x", digits, digest.Sum64())
		}
	}
}

// adopt takes over who has which slots, and reports whether that is news. A shard whose slots are as before goes on,
// whoever has them. One with other slots begins anew: nothing says that all of them are covered.
func (r *Redis) adopt(found []*holding) (news bool) {
	r.adopting.Lock()
	defer r.adopting.Unlock()
	before := map[string]*shard{}
	for _, s := range r.shards.Load().list {
		before[s.slots] = s
	}
	now := &shards{owner: make([]uint16, slotCount)}
	for i, h := range found {
		s := before[h.name()]
		if s == nil {
			s = r.newShard("a shard of Redis", h.address, h.name(), h.tag())
			news = true
		}
		delete(before, s.slots)
		news = news || s.name() != h.address
		s.rename(h.address)
		now.list = append(now.list, s)
		for _, one := range h.ranges {
			for slot := one.Start; slot <= one.End; slot++ {
				now.owner[slot] = uint16(i)
			}
		}
	}
	r.shards.Store(now)
	for _, gone := range before {
		if since := gone.take(); !since.IsZero() {
			r.Missed(since)
		}
	}
	return news
}

// slotOf is the slot of a key: of what is between its first braces, if anything is.
func slotOf(key string) int {
	if _, rest, found := strings.Cut(key, "{"); found {
		if tag, _, closed := strings.Cut(rest, "}"); closed && tag != "" {
			key = tag
		}
	}
	var crc uint16
	for i := range len(key) {
		crc = crc<<8 ^ crcTable[byte(crc>>8)^key[i]]
	}
	return int(crc % slotCount)
}

// crcTable is that of CRC-16/XMODEM, which the specification of Redis Cluster names.
var crcTable = func() (table [256]uint16) {
	for i := range table {
		crc := uint16(i) << 8
		for range 8 {
			top := crc >> 15
			crc = crc<<1 ^ top*0x1021
		}
		table[i] = crc
	}
	return table
}()
