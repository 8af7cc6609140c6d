package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/pkg/signature"
	"github.com/sluicehq/sluice/pkg/telemetry"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// stale is a request that is authentic and too late.
func (g *gateway) stale(delivery string, body []byte) string {
	g.t.Helper()
	return g.post(zorio.Headers(secret, "pbx.call.hangup", delivery, time.Now().Add(-time.Hour), body), body)
}

// forged is a request that nobody with the secret made.
func (g *gateway) forged(delivery string, body []byte) string {
	g.t.Helper()
	return g.post(zorio.Headers("another secret", "pbx.call.hangup", delivery, time.Now(), body), body)
}

func TestMetricsSayWhatHappened(t *testing.T) {
	g, _, _ := startWithEngines(t)
	rig.Eventually(t, 30*time.Second, "the levels are told", func() bool {
		return g.metric(`sluice_stream_messages{stream="DEAD"} 0`) && g.metric("sluice_store_limit_bytes +Inf")
	})
	b := body("pbx.call.hangup", 1)
	begin := time.Now().Unix()
	g.send("pbx.call.hangup", "1", b)
	rig.Eventually(t, 20*time.Second, "it is marked", func() bool { return g.value(`sluice_seen_duration_seconds_count{op="mark"}`) == 1 })
	g.send("pbx.call.hangup", "1", b)
	g.stale("2", b)
	g.forged("3", b)
	g.send("pbx.call.hangup", "4", []byte("not JSON"))
	series := fmt.Sprintf(`sluice_secret_matches_total{secret=%q}`, signature.ID(secret))
	for series, want := range map[string]float64{
		`sluice_requests_total{answer="ok"}`: 1, `sluice_requests_total{answer="duplicate"}`: 1, `sluice_requests_total{answer="invalid"}`: 1,
		`sluice_requests_total{answer="quarantined_late"}`: 1, `sluice_requests_total{answer="quarantined_unroutable"}`: 1, `sluice_requests_total{answer="stale"}`: 0,
		`sluice_quarantined_total{reason="late"}`: 1, `sluice_quarantined_total{reason="unroutable"}`: 1,
		`sluice_request_duration_seconds_count`: 5, `sluice_request_size_bytes_sum`: float64(4*len(b) + len("not JSON")), `sluice_group_deliveries_sum`: 4,
		`sluice_seen_duration_seconds_count{op="lookup"}`: 4, `sluice_publish_duration_seconds_count`: 3, `sluice_redis_away`: 0, `sluice_seen_failures_total`: 0,
		`sluice_marks_missed_total`: 0, `sluice_publish_resent_total`: 0, `sluice_requests_in_flight`: 0,
		series: 4, `sluice_dependency_status{dependency="nats",status="ok"}`: 1, `sluice_dependency_status{dependency="redis",status="down"}`: 0,
	} {
		rig.Eventually(t, 20*time.Second, fmt.Sprint(series, " is ", want), func() bool { return g.value(series) == want })
	}
	if last := int64(g.value(strings.Replace(series, "matches_total", "last_match_timestamp_seconds", 1))); last < begin || last > time.Now().Unix() {
		t.Errorf("the secret matched last at %d", last)
	}
}

func (g *gateway) readiness() (r telemetry.Readiness, code int) {
	g.t.Helper()
	answer, err := g.client.Get("http://" + g.admin + "/readyz")
	if err != nil {
		g.t.Fatal(err)
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(&r); err != nil {
		g.t.Fatal(err)
	}
	return r, answer.StatusCode
}

// /readyz says of each dependency how it is, since when, and what to do about it.
func TestReadinessNamesWhatIsAwayAndTheRemedy(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	g, redis, nats := startWithEngines(t)
	var wrong string // what is told and not wanted
	defer func() {
		if t.Failed() {
			t.Log(wrong)
		}
	}()
	expect := func(code int, status string, want map[string]telemetry.Health) {
		t.Helper()
		rig.Eventually(t, time.Minute, "/readyz is "+status+", and says why", func() bool {
			r, got := g.readiness()
			wrong = ""
			if got != code || r.Status != status || len(r.Dependencies) != len(want) || !g.metric("sluice_durability_info") {
				wrong = fmt.Sprintf("%d %+v, want %d %+v", got, r, code, want)
			}
			for _, d := range r.Dependencies {
				w := want[d.Name]
				if d.Status != w.Status || (d.Name == "nats" || d.Name == "redis") && d.Since.Before(begin) || d.Since.After(time.Now()) || !strings.Contains(d.Remedy, w.Remedy) || !saysRight(d.Health, w) {
					wrong += fmt.Sprintf("\n%+v, want %+v", d, w)
				}
			}
			return wrong == ""
		})
	}
	ok, calm := telemetry.Health{Status: telemetry.OK}, telemetry.Health{Status: telemetry.OK, Detail: "failures in a row: 0 now"}
	synced := telemetry.Health{Status: telemetry.OK, Detail: "synced on the disk of one server"}
	noRedis := telemetry.Health{Status: telemetry.Degraded, Remedy: "start Redis, or correct REDIS_URL"}
	noNATS := telemetry.Health{Status: telemetry.Degraded, Remedy: "deliveries are kept in the journal and answered 200: find out why the stream has no leader, or start NATS at " + nats.URL()}
	all := func(nats, redis telemetry.Health) map[string]telemetry.Health {
		return map[string]telemetry.Health{"nats": nats, "redis": redis, "sender": calm, "journal": ok, "durability": synced}
	}
	expect(200, "ready", all(ok, ok))
	redis.Kill()
	expect(200, "degraded", all(ok, noRedis))
	nats.Kill()
	rig.Eventually(t, time.Minute, "/readyz misses NATS", func() bool { nats, _ := g.nats(); return nats.Status != telemetry.OK })
	expect(200, "degraded", all(noNATS, noRedis))
	begin = time.Now()
	nats.Restart()
	redis.Restart()
	expect(200, "ready", all(ok, ok))
}

// saysRight reports whether something is wrong with what is not well, and whether what is well says what it should.
func saysRight(h, want telemetry.Health) bool {
	if want.Status == telemetry.OK {
		return h.Detail == want.Detail
	}
	return h.Detail != ""
}

// A Redis that is full, or lets nobody in, need not be started.
func TestReadinessTellsWhatIsWrongWithRedis(t *testing.T) {
	t.Parallel()
	for want, argument := range map[string]string{"raise maxmemory": "--maxmemory", "correct user and password": "--requirepass"} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			redis := rig.StartRedis(t, argument, "1")
			g := startGateway(t, "REDIS_URL="+redis.URL())
			rig.Eventually(t, time.Minute, "/readyz says "+want, func() bool {
				g.send("pbx.call.hangup", fmt.Sprint(time.Now().UnixNano()), body("pbx.call.hangup", 1))
				r, _ := g.readiness()
				for _, d := range r.Dependencies {
					if d.Name == "redis" && d.Status == telemetry.Degraded {
						return strings.Contains(d.Remedy, want) && !strings.Contains(d.Remedy, "start Redis")
					}
				}
				return false
			})
		})
	}
}

// said is a line of the log.
type said struct {
	Level, Msg, Answer, Event, Delivery, Source, Quarantine string
}

// lines are those of the log, which are JSON, without the settings at its start.
func (g *gateway) lines() (lines []said) {
	g.t.Helper()
	for text := range strings.Lines(g.Output()) {
		if strings.HasPrefix(text, "{") {
			var line said
			if err := json.Unmarshal([]byte(text), &line); err != nil {
				g.t.Errorf("%q: %v", text, err)
			}
			lines = append(lines, line)
		}
	}
	return lines
}

// A line an event at debug, one a cause for refusals, and neither secrets nor what was sent.
func TestTheLogSaysEnoughAndNotTooMuch(t *testing.T) {
	t.Parallel()
	const private = "+81-90-0000-0000"
	for level, stored := range map[string]int{"info": 0, "debug": 7} {
		g := startGateway(t, "SLUICE_LOG="+level)
		for n := range 3 {
			b := fmt.Appendf(nil, `{"event":"pbx.call.hangup","data":{"caller_number":%q,"n":%d}}`, private, n)
			g.send("pbx.call.hangup", fmt.Sprint("id-", n), b)
			g.stale(fmt.Sprint("id-", n), b)
			g.forged(fmt.Sprint("id-", n), b)
		}
		g.send("pbx.call.hangup", "broken", fmt.Appendf(nil, `{"event":"pbx.call.hangup","data":{%q:!}}`, private))
		g.Stop(30 * time.Second)
		count := map[string]int{}
		for _, line := range g.lines() {
			count[line.Level+" "+line.Msg+" "+line.Answer]++
			if line.Msg == "kept in the journal" && (line.Event == "" && line.Quarantine == "" || line.Delivery == "" || line.Source != "zorio") {
				t.Errorf("the line of an event: %+v", line)
			}
		}
		if count["DEBUG kept in the journal "] != stored || count["INFO refused invalid"] != 1 || count["INFO refused quarantined_late"] != 1 || count["INFO refused quarantined_unroutable"] != 1 {
			t.Errorf("%s: %v", level, count)
		}
		for _, never := range []string{secret, private, "sha256="} {
			if strings.Contains(g.Output(), never) {
				t.Errorf("%s: %q is in the log", level, never)
			}
		}
	}
}
