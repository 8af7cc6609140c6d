package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/pkg/telemetry"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// waits expects a gateway that has started and cannot store yet.
func (g *gateway) waits(t *testing.T, detail string) {
	t.Helper()
	g.Listening(g.admin)
	rig.Eventually(t, time.Minute, "/readyz says "+detail, func() bool {
		r, code := g.readiness()
		if len(r.Dependencies) == 0 || r.Dependencies[0].Name != "nats" {
			t.Fatalf("/readyz before NATS is there: %d %+v", code, r)
		}
		nats := r.Dependencies[0]
		return code == http.StatusServiceUnavailable && nats.Status == telemetry.Down && nats.Remedy != "" && strings.Contains(nats.Detail, detail)
	})
	g.WaitFor("waiting for NATS", time.Minute)
}

// sending begins a delivery and returns what its answer comes through.
func (g *gateway) sending(id string) <-chan string {
	answered := make(chan string, 1)
	b := body("pbx.call.hangup", 1)
	go func() {
		got, err := g.try(zorio.Headers(secret, "pbx.call.hangup", id, time.Now(), b), b)
		if err != nil {
			got = err.Error()
		}
		answered <- got
	}()
	return answered
}

// A gateway without a journal may start before its NATS: it says what it waits for, answers within the sender's five seconds, and what is
// inside when NATS comes is stored.
func TestAGatewayWaitsForNATSAndServesWhenItCan(t *testing.T) {
	t.Parallel()
	nats := rig.StartNats(t, "")
	nats.Kill()
	g := beginGateway(t, "NATS_URL="+nats.URL(), "SLUICE_NATS_MONITOR=http://"+nats.Monitor, "SLUICE_JOURNAL=off")
	g.waits(t, "not reachable")
	begin := time.Now()
	if got := <-g.sending("early"); got != "503 Starting, try again" || time.Since(begin) > 5*time.Second {
		t.Errorf("%s after %s", got, time.Since(begin))
	}
	nats.Start()
	for held := g.sending("held"); ; held = g.sending("held") { // again, where NATS takes longer than one may wait
		if got := <-held; got == "200 OK" {
			break
		} else if got != "503 Starting, try again" {
			t.Fatalf("what waited inside: %s", got)
		}
	}
	g.ready()
}

// A cluster without quorum answers nothing: a gateway that starts then waits for the election.
func TestAGatewayWaitsForAnElection(t *testing.T) {
	t.Parallel()
	cluster := rig.StartNatsCluster(t, 3)
	cluster.Elected()
	cluster[1].Kill()
	cluster[2].Kill()
	g := beginGateway(t, "NATS_URL="+cluster.URL(), "SLUICE_NATS_MONITOR="+cluster.Monitors(), "SLUICE_REPLICAS=3", "SLUICE_JOURNAL=off")
	g.waits(t, "stream EVENTS")
	for _, n := range cluster[1:] {
		n.AsItComes()
		n.Restart()
	}
	g.WaitFor(`"listening"`, 60*time.Second)
	g.ready()
	if got := g.send("pbx.call.hangup", "1", body("pbx.call.hangup", 1)); got != "200 OK" {
		t.Error(got)
	}
	g.worth(telemetry.Degraded, "in memory of some of 3 servers until they sync: a power cut of all loses the last 2 minutes", "set sync_interval: always")
}

// What will not pass by itself is said while it lasts, with what to do.
func TestANATSWithoutJetStreamIsWaitedForAndNamed(t *testing.T) {
	t.Parallel()
	plain := rig.Address(t)
	rig.Start(t, rig.NatsServer(t), []string{"-a", "127.0.0.1", "-p", plain[strings.LastIndexByte(plain, ':')+1:]}, rig.Environment()).Listening(plain)
	g := beginGateway(t, "NATS_URL=nats://"+plain, "SLUICE_JOURNAL=off")
	g.waits(t, "start nats-server with -js")
	if code := g.Stop(20 * time.Second); code != 0 {
		t.Errorf("stopped while it waits: exit code %d", code)
	}
}

// A leader that lost its followers stores nothing and looks well for ten seconds: what publishes are told comes first.
func TestALostQuorumIsToldByWhatPublishesAreTold(t *testing.T) {
	t.Parallel()
	cluster := rig.StartNatsCluster(t, 3)
	js := cluster.Elected()
	g := startGateway(t, "NATS_URL="+cluster.URL(), "SLUICE_NATS_MONITOR="+cluster.Monitors(), "SLUICE_REPLICAS=3", "SLUICE_JOURNAL=off")
	if got := g.send("pbx.call.hangup", "before", body("pbx.call.hangup", 1)); got != "200 OK" {
		t.Fatal(got)
	}
	g.worth(telemetry.OK, "on 3 disks, synced", "") // whichever the gateway is connected to
	leader := cluster.Leader(js, "EVENTS")
	for _, n := range cluster {
		if n != leader {
			n.Kill()
		}
	}
	begin := time.Now()
	answered := g.sending("meanwhile")
	rig.Eventually(t, 20*time.Second, "/readyz says so", func() bool {
		nats, code := g.nats()
		return nats.Status == telemetry.Down && code == http.StatusServiceUnavailable
	})
	took := time.Since(begin)
	t.Logf("down after %s", took)
	<-answered
	if took > 7*time.Second { // half of one, and a busy machine; by itself the server says so after ten
		t.Error("that is what the server says of itself")
	}
}
