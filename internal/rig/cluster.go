package rig

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// clusterSlots is how many slots a Redis Cluster spreads its keys over.
const clusterSlots = 16384

// StartRedisCluster starts a Redis Cluster of so many masters with an equal share of the slots each, the first ones
// first, and with so many replicas of each; the replicas follow in the order of their masters. A shard that is away
// takes no other down with it, and a replica takes over after a second or two.
func StartRedisCluster(t testing.TB, masters, replicas int) []*Redis {
	t.Helper()
	nodes := make([]*Redis, masters*(1+replicas))
	for i := range nodes {
		_, bus, _ := strings.Cut(Address(t), ":") // the default, 10,000 above the other, may be anybody's
		nodes[i] = StartRedis(t, "--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1", "--cluster-port", bus,
			"--cluster-require-full-coverage", "no", "--cluster-node-timeout", "1000")
		nodes[0].Command("cluster", "meet", nodes[i].Host(), nodes[i].Port(), bus)
	}
	for i, node := range nodes[:masters] {
		node.Command("cluster", "addslotsrange", fmt.Sprint(i*clusterSlots/masters), fmt.Sprint((i+1)*clusterSlots/masters-1))
	}
	clusterAgrees(t, nodes, fmt.Sprintf("cluster_known_nodes:%d\r", len(nodes)))
	for i, replica := range nodes[masters:] {
		replica.Command("cluster", "replicate", nodes[i%masters].Command("cluster", "myid"))
	}
	clusterAgrees(t, nodes, "cluster_slots_ok:16384\r")
	for _, replica := range nodes[masters:] {
		Eventually(t, 2*time.Minute, "a replica follows its master", func() bool {
			return strings.Contains(replica.Command("info", "replication"), "master_link_status:up")
		})
	}
	return nodes
}

func clusterAgrees(t testing.TB, nodes []*Redis, on string) {
	t.Helper()
	for _, node := range nodes {
		Eventually(t, 2*time.Minute, "each node of the Cluster says "+strings.TrimSpace(on), func() bool {
			return strings.Contains(node.Command("cluster", "info"), on)
		})
	}
}
