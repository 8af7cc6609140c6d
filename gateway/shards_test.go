package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sluicehq/sluice/internal/rig"
)

// A shard of a Redis Cluster may die and come back empty: its deliveries go by the stream's window meanwhile, those of
// the others by Redis, and all it knew is marked again.
func TestAShardOfRedisThatComesBackEmptyIsRefilled(t *testing.T) {
	t.Parallel()
	nodes, nats := rig.StartRedisCluster(t, 3, 0), rig.StartNats(t, "")
	g := startGateway(t, "REDIS_URL=redis://"+nodes[0].Address+",redis://"+nodes[1].Address, "NATS_URL="+nats.URL(), "SLUICE_NATS_MONITOR=http://"+nats.Monitor)
	const count = 200
	sendAll := func() (stored int) {
		for n := range count {
			if g.send("pbx.call.hangup", fmt.Sprint("shards-", n), body("pbx.call.hangup", n)) == "200 OK" {
				stored++
			}
		}
		return stored
	}
	marked := func(node *rig.Redis) (count int) {
		client := redis.NewClient(&redis.Options{Addr: node.Address})
		defer func() { _ = client.Close() }()
		for _, hash := range client.Keys(t.Context(), "sluice:seen:{*}:*.*").Val() {
			count += int(client.HLen(t.Context(), hash).Val())
		}
		return count
	}
	if stored := sendAll(); stored != count {
		t.Fatalf("%d of %d are stored", stored, count)
	}
	rig.Eventually(t, 30*time.Second, "all is marked", func() bool { return marked(nodes[0])+marked(nodes[1])+marked(nodes[2]) == count })
	before := marked(nodes[0])

	nodes[0].Kill()
	rig.Eventually(t, 30*time.Second, "the shard is away", func() bool { return g.value("sluice_redis_away") == 1 })
	failures := g.value("sluice_seen_failures_total")
	for until := time.Now().Add(2 * time.Second); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		if r, code := g.readiness(); code != 200 || r.Status != "degraded" || !strings.Contains(fmt.Sprint(r), nodes[0].Address) {
			t.Fatalf("/readyz says nothing of the shard that is away: %d %+v", code, r)
		}
	}
	if stored := sendAll(); stored > 0 {
		t.Errorf("%d are stored again", stored)
	}
	if unknown := g.value("sluice_seen_failures_total") - failures; unknown == 0 || unknown > count*3/4 { // a busy machine may be late now and then
		t.Errorf("of %d look-ups %.0f were not answered, %d deliveries lie in the shard", count, unknown, before)
	}
	nodes[0].Restart()
	rig.Eventually(t, time.Minute, "what the shard knew is marked again", func() bool { return marked(nodes[0]) == before && g.value("sluice_redis_away") == 0 })
}
