package main

import (
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/durability"
	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

// dependency is what /readyz says of one; none has the name "".
func (g *gateway) dependency(name string) (found telemetry.Dependency) {
	g.t.Helper()
	r, _ := g.readiness()
	for _, d := range r.Dependencies {
		if d.Name == name {
			found = d
		}
	}
	return found
}

// worth waits until /readyz says this of a 200.
func (g *gateway) worth(status telemetry.Status, detail, remedy string) {
	g.t.Helper()
	var d telemetry.Dependency
	rig.Eventually(g.t, time.Minute, "/readyz says that a 200 is "+detail, func() bool {
		d = g.dependency("durability")
		return strings.HasPrefix(d.Detail, detail)
	})
	if d.Status != status || !strings.Contains(d.Remedy, remedy) || (d.Remedy == "") != (remedy == "") {
		g.t.Errorf("%+v, want %s, %q", d, status, remedy)
	}
}

func TestA200OfTheEmbeddedNATSIsWorthWhatItsFolderIs(t *testing.T) {
	t.Parallel()
	g := startGateway(t)
	want := durability.OnThisMachine("SLUICE_DATA", g.data) // a disk, or where the tests of this machine have their folders
	rig.Eventually(t, 30*time.Second, "/readyz says "+want.Detail, func() bool { return g.dependency("durability").Detail == want.Detail })
	if want.Kept == durability.Synced && want.Detail != "synced on this disk" || !g.metric(`sluice_durability_info{kept="`+string(want.Kept)+`"} 1`) {
		t.Errorf("%+v", want)
	}
	memory := rig.SmallDisk(t, 64*mebi)
	g = startGateway(t, "SLUICE_DATA="+memory.Path)
	g.worth(telemetry.Degraded, "in memory of this machine: SLUICE_DATA="+memory.Path+" is tmpfs", "set SLUICE_DATA to a folder on a disk")
	g.WaitFor(`"level":"WARN","msg":"what a 200 is worth: in memory of this machine`, 30*time.Second)
	if !g.metric(`sluice_durability_info{kept="memory"} 1`) {
		t.Error("the metric says something else")
	}
}

// The server that comes back may be another one, or have another configuration.
func TestWhatA200IsWorthIsAskedAgainWhenNATSComesBack(t *testing.T) {
	t.Parallel()
	n := rig.StartNats(t, "")
	g := startGateway(t, "NATS_URL="+n.URL(), "SLUICE_NATS_MONITOR=http://"+n.Monitor)
	g.worth(telemetry.OK, "synced on the disk of one server", "")
	n.Kill()
	n.AsItComes()
	n.Restart()
	g.worth(telemetry.Degraded, "in memory of one server until it syncs: a power cut loses the last 2 minutes", "set sync_interval: always in the jetstream block of NATS")
	g = startGateway(t, "NATS_URL="+n.URL(), "SLUICE_NATS_MONITOR=http://user:hunter2@"+rig.Address(t))
	g.worth(telemetry.Degraded, "unknown: cannot ask NATS whether it syncs every write: http://xxxxx@127.0.0.1", "SLUICE_NATS_MONITOR")
	if strings.Contains(g.Output(), "hunter2") {
		t.Error("a password is in the log")
	}
}

func TestA200FromTheJournalIsWorthWhatItsFolderIs(t *testing.T) {
	t.Parallel()
	n := rig.StartNats(t, "")
	g := startGateway(t, "NATS_URL="+n.URL(), "SLUICE_NATS_MONITOR=http://"+n.Monitor)
	g.worth(telemetry.OK, "synced on the disk of one server", "")
	n.Kill()
	if got := g.send("pbx.call.hangup", "1", body("pbx.call.hangup", 1)); got != "200 OK" {
		t.Fatal(got)
	}
	want := durability.InJournal("SLUICE_DATA", g.data)
	rig.Eventually(t, 30*time.Second, "/readyz says "+want.Detail, func() bool {
		return g.dependency("durability").Detail == want.Detail && g.metric(`sluice_durability_info{kept="`+string(want.Kept)+`"} 1`)
	})
	g.WaitFor(`"msg":"what a 200 is worth: in the journal until NATS is back: `, 30*time.Second)
	n.Restart()
	g.worth(telemetry.OK, "synced on the disk of one server", "")
}
