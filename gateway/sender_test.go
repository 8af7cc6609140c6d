package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

// Zorio counts failures in a row, and suspends the URL at 50: so does the gateway, and a stranger's forgery is none.
func TestARunOfFailuresIsCountedAsTheSenderDoes(t *testing.T) {
	t.Parallel()
	g := startGateway(t)
	g.send("pbx.call.hangup", "first", body("pbx.call.hangup", 0))
	for n := range 30 {
		if got := g.stale(fmt.Sprint("stale-", n), body("pbx.call.hangup", n)); got != "400 Stale timestamp" {
			t.Fatal(got)
		}
		g.forged(fmt.Sprint("forged-", n), body("pbx.call.hangup", n))
	}
	begin := time.Now()
	for _, want := range []string{"10 failures in a row", "25 failures in a row"} {
		level := map[bool]string{true: "WARN", false: "ERROR"}[want[0] == '1']
		g.WaitFor(`"level":"`+level+`","msg":"the sender's deliveries fail","source":"zorio","error":"`+want+`, the last: Stale timestamp: is a clock wrong, or are these late retries?`, 20*time.Second)
	}
	if d := g.dependency("sender"); d.Status != telemetry.Degraded || !strings.HasPrefix(d.Detail, "30 failures in a row, the last: Stale timestamp") || !strings.Contains(d.Remedy, "timedatectl") {
		t.Errorf("%+v", d)
	}
	run, most, when := `sluice_failures_in_a_row{source="zorio"}`, `sluice_failures_in_a_row_max{source="zorio"}`, `sluice_failures_in_a_row_max_timestamp_seconds{source="zorio"}`
	if at := g.value(when); g.value(run) != 30 || g.value(most) != 30 || at > float64(begin.Unix())+1 || at < float64(begin.Add(-time.Minute).Unix()) {
		t.Errorf("%v failures in a row, %v at most, at %v", g.value(run), g.value(most), at)
	}
	g.send("pbx.call.hangup", "last", body("pbx.call.hangup", 1))
	if d := g.dependency("sender"); d.Status != telemetry.OK || !strings.Contains(d.Detail, "failures in a row: 0 now, 30 at most, at 2") || g.value(run) != 0 || g.value(most) != 30 {
		t.Errorf("after a success: %+v", d)
	}
	g.WaitFor(`"level":"INFO","msg":"the sender's deliveries succeed again","source":"zorio","failures_in_a_row":30`, 20*time.Second)
}

func TestAStormOfOneRefusalIsToldWithItsLikelyCause(t *testing.T) {
	t.Parallel()
	g := startGateway(t)
	for n := range 1200 {
		if n%33 == 0 {
			g.send("pbx.call.hangup", fmt.Sprint(n), body("pbx.call.hangup", n))
			continue
		}
		g.forged(fmt.Sprint(n), body("pbx.call.hangup", n))
	}
	g.send("pbx.call.hangup", "last", body("pbx.call.hangup", 0))
	const want = "97 % of the last 1,000: Invalid signature: was the secret rotated?"
	if d := g.dependency("sender"); d.Status != telemetry.OK || !strings.HasPrefix(d.Detail, want) {
		t.Errorf("%+v, want that authentic deliveries come beside it, and %s", d, want)
	}
	g.WaitFor(`"level":"WARN","msg":"most answers are the same refusal","source":"zorio","error":"9`, 20*time.Second)
	if share := g.value(`sluice_recent_answers_ratio{answer="invalid",source="zorio"}`); share < 0.96 || share > 0.98 {
		t.Errorf("the share is %v", share)
	}
}

func TestSilenceIsToldAndItsEnd(t *testing.T) {
	t.Parallel()
	g := startGateway(t, "SLUICE_SILENCE=3s")
	n := 0
	rig.Eventually(t, time.Minute, "the usual gap is known", func() bool {
		n++
		g.send("pbx.call.hangup", fmt.Sprint(n), body("pbx.call.hangup", n))
		return g.value(`sluice_silence_limit_seconds{source="zorio"}`) < 1e9
	})
	rig.Eventually(t, time.Minute, "/readyz tells of silence", func() bool { return g.dependency("sender").Status == telemetry.Degraded })
	if d := g.dependency("sender"); !strings.HasPrefix(d.Detail, "no verified event for ") || !strings.Contains(d.Detail, "the usual gap is ") || !strings.Contains(d.Remedy, "suspended") {
		t.Errorf("%+v", d)
	}
	g.WaitFor(`"level":"WARN","msg":"the sender is silent","source":"zorio","error":"no verified event for`, 20*time.Second)
	rig.Eventually(t, time.Minute, "an event ends the silence", func() bool {
		n++
		g.send("pbx.call.hangup", fmt.Sprint(n), body("pbx.call.hangup", n))
		return g.dependency("sender").Status == telemetry.OK && g.value(`sluice_silence_seconds{source="zorio"}`) == 0
	})
	g.WaitFor(`"level":"INFO","msg":"verified events come again","source":"zorio","after":"`, 20*time.Second)
}

// A gateway that starts again knows from the stream how often events come.
func TestSilenceAfterARestartIsTold(t *testing.T) {
	t.Parallel()
	g := startGateway(t, "SLUICE_SILENCE=2s")
	for n := range 20 {
		g.send("pbx.call.hangup", fmt.Sprint(n), body("pbx.call.hangup", n))
	}
	rig.Eventually(t, 10*time.Second, "all are stored", func() bool { return g.count("EVENTS") == 20 })
	g.Stop(30 * time.Second)
	g.Start()
	g.ready()
	g.WaitFor(`"level":"WARN","msg":"the sender is silent","source":"zorio","error":"no verified event for`, time.Minute)
	rig.Eventually(t, 20*time.Second, "/readyz tells of silence", func() bool {
		d := g.dependency("sender")
		return d.Status == telemetry.Degraded && strings.HasPrefix(d.Detail, "no verified event for ")
	})
}
