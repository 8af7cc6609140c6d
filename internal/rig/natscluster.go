package rig

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// NatsCluster is a cluster of nats-servers.
type NatsCluster []*Nats

// StartNatsCluster starts a cluster of so many nats-servers. JetStream works in it once they have elected a leader, for
// which [NatsCluster.Elected] waits.
func StartNatsCluster(t testing.TB, size int) NatsCluster {
	t.Helper()
	return startNatsCluster(t, addresses(t, size), func(_ int, to string) string { return to })
}

// SystemUser may look after a whole cluster; it is its own password. All others need none.
const SystemUser = "admin"

// Join starts one more server of the cluster, which has the next name.
func (c NatsCluster) Join() NatsCluster {
	c[0].t.Helper()
	return append(c, startMember(c[0].t, len(c), Address(c[0].t), c.list(func(n *Nats) string { return "nats://" + n.route })))
}

func startMember(t testing.TB, number int, route, routes string) *Nats {
	t.Helper()
	n := StartNats(t, fmt.Sprintf("server_name: n%d\ncluster { name: c, listen: %q, no_advertise: true, routes: [%s] }\n"+
		"accounts { $SYS { users: [ { user: %s, password: %[4]s } ] } }", number, route, routes, SystemUser))
	n.route = route
	return n
}

// StartParted starts a cluster whose servers reach each other by ways of the test's, and returns what parts one of them
// from the others, and what joins it to them again. Whoever is outside reaches all of them all the time.
func StartParted(t testing.TB, size int) (c NatsCluster, part, join func(*Nats)) {
	t.Helper()
	all := addresses(t, size)
	ways := map[*Way][2]string{} // from one to another
	c = startNatsCluster(t, all, func(from int, to string) string {
		way := NewWay(t, to)
		ways[way] = [2]string{all[from], to}
		return way.Address
	})
	each := func(do func(*Way)) func(*Nats) {
		return func(n *Nats) {
			one := all[slices.Index(c, n)]
			for way, ends := range ways {
				if slices.Contains(ends[:], one) {
					do(way)
				}
			}
		}
	}
	return c, each((*Way).Swallow), each((*Way).Open)
}

func addresses(t testing.TB, count int) []string {
	t.Helper()
	all := make([]string, count)
	for i := range all {
		all[i] = Address(t)
	}
	return all
}

func startNatsCluster(t testing.TB, all []string, way func(from int, to string) string) NatsCluster {
	t.Helper()
	c := make(NatsCluster, len(all))
	for i := range c {
		var routes []string
		for j, to := range all {
			if j != i {
				routes = append(routes, "nats://"+way(i, to))
			}
		}
		c[i] = startMember(t, i, all[i], strings.Join(routes, ", "))
	}
	return c
}

// URL is its NATS_URL.
func (c NatsCluster) URL() string { return c.list(func(n *Nats) string { return n.URL() }) }

// Monitors is its SLUICE_NATS_MONITOR.
func (c NatsCluster) Monitors() string {
	return c.list(func(n *Nats) string { return "http://" + n.Monitor })
}

func (c NatsCluster) list(one func(*Nats) string) string {
	all := make([]string, len(c))
	for i, n := range c {
		all[i] = one(n)
	}
	return strings.Join(all, ",")
}

// Elected waits until JetStream answers, and returns a connection to it.
func (c NatsCluster) Elected() jetstream.JetStream {
	t := c[0].t
	t.Helper()
	js := JetStream(t, c.URL())
	Eventually(t, 2*time.Minute, "the cluster has a leader", func() bool {
		_, err := js.AccountInfo(t.Context())
		return err == nil
	})
	return js
}

// Leader is the server that leads a stream, which must have one.
func (c NatsCluster) Leader(js jetstream.JetStream, stream string) *Nats {
	t := c[0].t
	t.Helper()
	var leader *Nats
	Eventually(t, 2*time.Minute, "stream "+stream+" has a leader", func() bool {
		s, err := js.Stream(t.Context(), stream)
		if err == nil && s.CachedInfo().Cluster != nil {
			for i := range c {
				if s.CachedInfo().Cluster.Leader == fmt.Sprintf("n%d", i) {
					leader = c[i]
				}
			}
		}
		return leader != nil
	})
	return leader
}

// Serving is the number of the server that a client of this name is connected to; -1 when it is to none.
func (c NatsCluster) Serving(client string) int {
	return slices.IndexFunc(c, func(n *Nats) bool { return slices.Contains(n.Clients(), client) })
}

// Clients are the names of those that are connected; none of a server that does not say.
func (n *Nats) Clients() (names []string) {
	n.t.Helper()
	client := http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get("http://" + n.Monitor + "/connz")
	if err != nil {
		return nil
	}
	defer answer.Body.Close()
	var connz struct {
		Connections []struct {
			Name string `json:"name"`
		} `json:"connections"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&connz); err != nil {
		n.t.Fatal(err)
	}
	for _, c := range connz.Connections {
		names = append(names, c.Name)
	}
	return names
}
