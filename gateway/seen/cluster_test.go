package seen

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/secure"
)

// spread are identities that lie in every shard.
func spread(count int) []string {
	identities := make([]string, count)
	for i := range identities {
		identities[i] = fmt.Sprintf("spread-%d/%s", i, digitsA)
	}
	return identities
}

// seenIn counts what is seen by the shard that it lies in, and how much lies there.
func seenIn(t *testing.T, r *Redis, identities []string) (seen, all map[*shard]int) {
	t.Helper()
	known := make([]bool, len(identities))
	_ = r.Lookup(t.Context(), identities, known)
	seen, all = map[*shard]int{}, map[*shard]int{}
	for i, identity := range identities {
		s := r.shards.Load().of(r.keys(identity)[0])
		if all[s]++; known[i] {
			seen[s]++
		}
	}
	return seen, all
}

func sum(counts map[*shard]int) (sum int) {
	for _, count := range counts {
		sum += count
	}
	return sum
}

func TestOneDeadShardIsAwayAndTheOthersGoOn(t *testing.T) {
	t.Parallel()
	nodes := rig.StartRedisCluster(t, 3, 0)
	r := open(t, nodes[1].URL()+","+nodes[2].URL())
	identities, asked := spread(300), make(chan time.Time, 100)
	stop := running(t, r, func(ctx context.Context, into Marker, since time.Time) error {
		asked <- since
		marks := make([]Mark, len(identities))
		for i, identity := range identities {
			marks[i] = Mark{Identity: identity, Sequence: 1, Stored: time.Now()}
		}
		return into.Mark(ctx, marks)
	})
	defer stop()
	dead := r.shards.Load().of("{" + strings.Trim(newTag(0), ":{}") + "}")
	marked := func() bool { seen, all := seenIn(t, r, identities); return seen[dead] == all[dead] }
	rig.Eventually(t, time.Minute, "everything is marked", func() bool {
		seen, all := seenIn(t, r, identities)
		for s := range all {
			if seen[s] < all[s] {
				return false
			}
		}
		return len(all) == 3
	})

	nodes[0].Kill()
	rig.Eventually(t, 30*time.Second, "the shard is away", func() bool { seenIn(t, r, identities); return r.State().Away })
	whole := 0 // looks at which all of the others was seen; a busy machine may be late now and then
	for until := time.Now().Add(2 * time.Second); time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		if seen, all := seenIn(t, r, identities); len(seen) == 2 && seen[dead] == 0 && sum(seen) == sum(all)-all[dead] {
			whole++
		}
		if s := r.State(); !s.Away || !strings.Contains(s.Err.Error(), nodes[0].Address) {
			t.Fatalf("state %+v", s)
		}
	}
	if whole < 10 {
		t.Errorf("the other shards answered %d times", whole)
	}
	for len(asked) > 0 {
		<-asked
	}
	nodes[0].Restart() // empty
	rig.Eventually(t, time.Minute, "the shard is refilled", func() bool { return !r.State().Away && marked() })
	if off := time.Since((<-asked).Add(TTL)).Abs(); off > time.Minute {
		t.Errorf("refilled %s off the whole day", off)
	}
}

// newTag is a tag of keys that lie in a slot.
func newTag(slot int) string {
	tag, _, _ := strings.Cut((&holding{ranges: []redis.ClusterSlot{{Start: slot}}}).tag(), "}")
	return tag
}

func TestAReplicaThatTakesOverIsTheSameShard(t *testing.T) {
	t.Parallel()
	nodes := rig.StartRedisCluster(t, 3, 1)
	r := open(t, nodes[1].URL()+"?cluster=true")
	asked := make(refills, 100)
	stop := running(t, r, asked.refill)
	defer stop()
	asked.expect(t, time.Now().Add(-TTL))
	first := r.shards.Load().list[0]
	rig.Eventually(t, 30*time.Second, "it is covered", func() bool { return nodes[3].Command("dbsize") == "3" })
	nodes[0].Kill()
	rig.Eventually(t, 30*time.Second, "the shard is away", func() bool { return r.State().Away })
	_ = r.Mark(t.Context(), []Mark{{Identity: "foo{" + strings.TrimPrefix(newTag(0), ":{") + "}/" + digitsA, Sequence: 1, Stored: time.Now()}})
	rig.Eventually(t, time.Minute, "the replica has taken over", func() bool {
		return !r.State().Away && first.name() == nodes[3].Address
	})
	if now := r.shards.Load().list[0]; now != first {
		t.Errorf("%s is another shard than %s", now.slots, first.slots)
	}
	asked.expect(t, time.Now()) // the mark that was missed
}

// A shard that is given slots which are empty, because they were those of a node that is gone, has them refilled.
func TestSlotsThatChangeHandsAreRefilled(t *testing.T) {
	t.Parallel()
	r, err := NewRedis("redis://127.0.0.1:1?cluster=true", secure.Files{}, Small, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	node := func(start, end int, address string) redis.ClusterSlot {
		return redis.ClusterSlot{Start: start, End: end, Nodes: []redis.ClusterNode{{Addr: address}}}
	}
	missed := time.Now().Add(-time.Minute)
	r.Missed(missed)
	r.adopt(bySlots([]redis.ClusterSlot{node(8000, slotCount-1, "b"), node(0, 7999, "a")}))
	a, b := r.shards.Load().list[0], r.shards.Load().list[1]
	if !a.take().Equal(missed) || !b.take().Equal(missed) {
		t.Error("what was missed before the shards were known is forgotten")
	}
	if r.adopt(bySlots([]redis.ClusterSlot{node(0, 7999, "a"), node(8000, slotCount-1, "b")})) {
		t.Error("the same again is news")
	}
	r.adopt(bySlots([]redis.ClusterSlot{node(0, 99, "a"), node(200, 7999, "a"), node(8000, slotCount-1, "c")}))
	list := r.shards.Load().list
	if len(list) != 3 || list[0] == a || list[2] != b || b.name() != "c" || list[1].name() != nobody || list[1].slots != "100-199" {
		for _, s := range list {
			t.Errorf("%s has %s under %s", s.name(), s.slots, s.covered)
		}
	}
	if list[0].covered == a.covered || slotOf(list[0].covered) != 0 || slotOf(b.covered) != 8000 {
		t.Errorf("the times of other slots lie under %s and %s", list[0].covered, b.covered)
	}
}

// The slots of some keys, as redis-server's CLUSTER KEYSLOT says.
func TestSlots(t *testing.T) {
	for key, want := range map[string]int{"123456789": 12739, "foo": 12182, "{user1000}.following": 3443, "user1000": 3443, "foo{}{bar}": 8363, "foo{{bar}}zap": 4015, "foo{bar}{zap}": 5061, "": 0} {
		if got := slotOf(key); got != want {
			t.Errorf("%q: %d, want %d", key, got, want)
		}
	}
}
