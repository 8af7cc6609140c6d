package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

const (
	mebi   = 1 << 20
	atOnce = 3 * time.Second // on a busy machine: who waits for the store waits for [ingest.Budget]
)

// sendUntil sends one delivery after the other until one is answered as wanted.
func (g *gateway) sendUntil(want string, within time.Duration) {
	g.t.Helper()
	n := 0
	rig.Eventually(g.t, within, "a delivery is answered "+want, func() bool {
		n++
		b := fmt.Appendf(nil, `{"event":"pbx.call.hangup","data":{"n":%d,"text":%q}}`, n, strings.Repeat("x", 32<<10))
		return g.send("pbx.call.hangup", fmt.Sprint(want, n), b) == want
	})
}

func (g *gateway) nats() (telemetry.Dependency, int) {
	g.t.Helper()
	r, code := g.readiness()
	return r.Dependencies[0], code
}

// A full disk is told before it is full and while it is, deliveries are answered at once, and everything goes on by
// itself when there is room.
func TestAFullDiskIsToldAnsweredAtOnceAndOutlived(t *testing.T) {
	t.Parallel()
	disk := rig.SmallDisk(t, 64*mebi)
	g := startGateway(t, "SLUICE_DATA="+disk.Path)
	disk.Fill(6 * mebi)
	rig.Eventually(t, 20*time.Second, "/readyz warns", func() bool {
		nats, code := g.nats()
		return nats.Status == telemetry.Degraded && code == http.StatusOK && strings.Contains(nats.Remedy, "SLUICE_EVENTS_MAX_BYTES")
	})
	disk.Fill(1 * mebi)
	rig.Eventually(t, 20*time.Second, "/readyz says so", func() bool {
		nats, code := g.nats()
		return nats.Status == telemetry.Down && code == http.StatusServiceUnavailable && strings.Contains(nats.Detail, "too little room")
	})
	begin := time.Now()
	if got := g.send("pbx.call.hangup", "full", body("pbx.call.hangup", 1)); got != "503 Not stored, try again" || time.Since(begin) > atOnce {
		t.Errorf("%s after %s", got, time.Since(begin))
	}
	disk.Empty()
	g.sendUntil("200 OK", 20*time.Second)
	g.ready()
}

// Teams and operators write too. A write that finds the disk full to its last byte makes a stream refuse everything from
// then on; the store is started again when there is room.
func TestTheStoreStartsAgainAfterADiskThatWasFullToItsLastByte(t *testing.T) {
	t.Parallel()
	disk := rig.SmallDisk(t, 64*mebi)
	g := startGateway(t, "SLUICE_DATA="+disk.Path)
	l := g.load()
	l.more(t, 100)
	nc := g.js("nats://" + g.hub).Conn()
	disk.Fill(0)
	rig.Eventually(t, 20*time.Second, "a write has failed", func() bool {
		_ = nc.Publish("quarantine.zorio.late", make([]byte, 64<<10))
		return strings.Contains(g.Output(), "critical write error")
	})
	disk.Empty()
	l.more(t, 300)
	g.ready()
	g.WaitFor("restarted its store", 20*time.Second)
	l.balance(t, "nats://"+g.hub)
}

// A gateway that starts on a full disk waits for room and names the remedy.
func TestAStartOnAFullDiskWaitsForRoom(t *testing.T) {
	t.Parallel()
	disk := rig.SmallDisk(t, 64*mebi)
	disk.Fill(0)
	g := beginGateway(t, "SLUICE_DATA="+disk.Path)
	g.waits(t, "too little room on the disk")
	if nats, _ := g.nats(); !strings.Contains(nats.Remedy, "SLUICE_EVENTS_MAX_BYTES") {
		t.Errorf("the remedy: %s", nats.Remedy)
	}
	disk.Empty()
	g.ready()
	if got := g.send("pbx.call.hangup", "1", body("pbx.call.hangup", 1)); got != "200 OK" {
		t.Error(got)
	}
}

// So does one whose streams are there already, and it keeps no sender waiting.
func TestAStartOnADiskThatWasFilledAnswersAtOnce(t *testing.T) {
	t.Parallel()
	disk := rig.SmallDisk(t, 64*mebi)
	g := startGateway(t, "SLUICE_DATA="+disk.Path)
	g.sendUntil("200 OK", 20*time.Second)
	disk.Fill(0)
	g.Stop(10 * time.Second)
	g.Start()
	g.waits(t, "too little room on the disk")
	begin := time.Now()
	if got := g.send("pbx.call.hangup", "full", body("pbx.call.hangup", 1)); got != "503 Not stored, try again" || time.Since(begin) > atOnce {
		t.Errorf("%s after %s", got, time.Since(begin))
	}
	disk.Empty()
	g.ready()
	g.sendUntil("200 OK", 20*time.Second)
}

// As many events are kept as there is room for, and the oldest are dropped first: without a bound that anybody set.
func TestTheOldestEventsAreDroppedFirstWhenTheDiskIsSmall(t *testing.T) {
	t.Parallel()
	disk := rig.SmallDisk(t, 64*mebi)
	g := startGateway(t, "SLUICE_DATA="+disk.Path)
	rig.Eventually(t, 60*time.Second, "the first event is dropped", func() bool {
		for n := range 64 {
			b := fmt.Appendf(nil, `{"event":"pbx.call.hangup","data":{"n":%d,"text":%q}}`, n, strings.Repeat("x", 256<<10))
			if got := g.send("pbx.call.hangup", fmt.Sprint(time.Now().UnixNano()), b); got != "200 OK" {
				t.Fatalf("%s: %+v", got, g.Output())
			}
		}
		s, err := g.js("nats://"+g.hub).Stream(t.Context(), "EVENTS")
		return err == nil && s.CachedInfo().State.FirstSeq > 1
	})
	g.ready()
}
