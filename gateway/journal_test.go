package main

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// account ends the load and compares what was answered with what is stored: nothing failed, and each delivery is there
// once.
func (s *steady) account(t *testing.T, url string) {
	t.Helper()
	close(s.stop)
	s.active.Wait()
	if failed := s.failures(time.Time{}); len(failed) > 0 {
		t.Errorf("%d deliveries failed, the first %+v", len(failed), failed[0])
	}
	s.g.drained()
	copies, slowest := stored(t, s.g.js(url)), time.Duration(0)
	for _, a := range s.attempts {
		if copies[a.id] != 1 {
			t.Errorf("delivery %s, answered %s, is stored %d times", a.id, a.answer, copies[a.id])
		}
		slowest = max(slowest, a.took)
	}
	t.Logf("%d deliveries, each stored once; the slowest took %s", len(s.attempts), slowest)
}

// NATS may be killed, hang and be restarted: no delivery fails, and each is stored once.
func TestNATSAwayFailsNothing(t *testing.T) {
	for _, memory := range []string{"Redis", "memory"} {
		t.Run(memory, func(t *testing.T) {
			t.Parallel()
			g, nats := startRemembering(t, memory)
			s := g.steady(200, 100, 0)
			s.more(t, 100)
			nats.Kill()
			s.more(t, 400)
			nats.Restart()
			s.more(t, 200)
			nats.Signal(syscall.SIGSTOP)
			s.more(t, 400)
			nats.Signal(syscall.SIGCONT)
			s.more(t, 200)
			s.account(t, nats.URL())
			if g.value("sluice_journal_kept_total") == 0 {
				t.Error("nothing was kept in the journal: this shows nothing")
			}
		})
	}
}

// A gateway takes deliveries before it has ever reached its NATS, and a repetition of one that lies only in its journal is
// a duplicate, after a restart too.
func TestAGatewayWithoutNATSKeepsWhatComes(t *testing.T) {
	t.Parallel()
	nats := rig.StartNats(t, "")
	nats.Kill()
	g := beginGateway(t, "NATS_URL="+nats.URL(), "SLUICE_NATS_MONITOR=http://"+nats.Monitor)
	g.Listening(g.address)
	for n := range 3 {
		id, b := fmt.Sprint(n), body("pbx.call.hangup", n)
		if first, second := g.send("pbx.call.hangup", id, b), g.send("pbx.call.hangup", id, b); first != "200 OK" || second != "200 Duplicate" {
			t.Errorf("delivery %d: %s, %s", n, first, second)
		}
	}
	g.Kill()
	g.Start()
	g.Listening(g.admin)
	rig.Eventually(t, 30*time.Second, "/readyz says what waits", func() bool {
		r, code := g.readiness()
		return code == http.StatusOK && r.Status == "degraded" && strings.Contains(fmt.Sprint(r.Dependencies), "3 deliveries are in the journal")
	})
	if got := g.send("pbx.call.hangup", "1", body("pbx.call.hangup", 1)); got != "200 Duplicate" {
		t.Errorf("after the restart, without NATS: %s", got)
	}
	nats.Restart()
	g.ready()
	g.drained()
	if got := g.send("pbx.call.hangup", "0", body("pbx.call.hangup", 0)); got != "200 Duplicate" {
		t.Errorf("after the restart: %s", got)
	}
	if copies := stored(t, g.js(nats.URL())); len(copies) != 3 || copies["0"] != 1 {
		t.Errorf("stored: %v", copies)
	}
}

// SIGKILL while the journal takes everything, and while it is drained.
func TestAKillWhileItSpillsOrDrainsLosesNothing(t *testing.T) {
	t.Parallel()
	g, nats := startRemembering(t, "Redis")
	l := g.load()
	l.more(t, 300)
	nats.Kill()
	for range 2 {
		l.more(t, 1000)
		g.Kill()
		g.Start()
	}
	l.more(t, 1000)
	nats.Restart()
	rig.Eventually(t, time.Minute, "it drains", func() bool { return g.value("sluice_journal_drained_total") > 0 })
	g.Kill()
	g.Start()
	l.more(t, 300)
	l.balance(t, nats.URL())
}

// What a gateway has left in its journal is published by the one that takes its place on the machine, also where that one
// has started beside it.
func TestAJournalThatWasLeftIsDrainedByTheNextGateway(t *testing.T) {
	t.Parallel()
	nats := rig.StartNats(t, "")
	settings := []string{"NATS_URL=" + nats.URL(), "SLUICE_NATS_MONITOR=http://" + nats.Monitor}
	first := startGateway(t, settings...)
	nats.Kill()
	if got := first.send("pbx.call.hangup", "left", body("pbx.call.hangup", 1)); got != "200 OK" {
		t.Fatal(got)
	}
	next := beginGateway(t, append(settings, "SLUICE_DATA="+first.data)...)
	next.Listening(next.address)
	if got := next.send("pbx.call.hangup", "own", body("pbx.call.hangup", 2)); got != "200 OK" {
		t.Fatal(got)
	}
	first.Kill()
	nats.Restart()
	next.ready()
	rig.Eventually(t, 90*time.Second, "both are stored", func() bool {
		copies := stored(t, next.js(nats.URL()))
		return copies["left"] == 1 && copies["own"] == 1
	})
	rig.Eventually(t, 30*time.Second, "the empty journal is removed", func() bool { return !isThere(first.data + "/journal/01") })
}

// A journal that is full asks the sender to come back, says so, and takes deliveries again when there is room.
func TestAFullJournalAsksTheSenderToComeBack(t *testing.T) {
	t.Parallel()
	nats := rig.StartNats(t, "")
	g := startGateway(t, "NATS_URL="+nats.URL(), "SLUICE_NATS_MONITOR=http://"+nats.Monitor, "SLUICE_JOURNAL_MAX_BYTES=64MiB")
	nats.Kill()
	send := func(n int) (status int, retryAfter string) {
		b := fmt.Appendf(nil, `{"event":"pbx.call.hangup","data":{"n":%d,"text":%q}}`, n, strings.Repeat("x", 1000<<10))
		request, _ := http.NewRequest(http.MethodPost, g.url(), bytes.NewReader(b))
		request.Header = zorio.Headers(secret, "pbx.call.hangup", fmt.Sprint(n), time.Now(), b)
		answer, err := g.client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		return answer.StatusCode, answer.Header.Get("Retry-After")
	}
	taken := 0
	for ; taken < 80; taken++ {
		if status, retryAfter := send(taken); status != http.StatusOK {
			if status != http.StatusServiceUnavailable || retryAfter != "30" {
				t.Fatalf("%d, Retry-After %q", status, retryAfter)
			}
			break
		}
	}
	if taken < 40 || taken == 80 {
		t.Fatalf("%d MiB were taken", taken)
	}
	if r, code := g.readiness(); code != http.StatusServiceUnavailable || !strings.Contains(fmt.Sprint(r.Dependencies), "SLUICE_JOURNAL_MAX_BYTES") {
		t.Errorf("%d %+v", code, r)
	}
	nats.Restart()
	rig.Eventually(t, time.Minute, "deliveries are taken again", func() bool { status, _ := send(1000); return status == http.StatusOK })
	g.drained()
	if copies := stored(t, g.js(nats.URL())); len(copies) != taken+1 {
		t.Errorf("%d are stored, %d were answered 200", len(copies), taken+1)
	}
}
