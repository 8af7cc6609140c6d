package main

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/pkg/telemetry"
	"github.com/sluicehq/sluice/pkg/zorio"
)

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Every start that cannot work ends with one line that names the remedy.
func TestAStartThatCannotWorkNamesTheRemedy(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	file := t.TempDir() + "/file"
	write(t, file, "")
	guarded := rig.StartNats(t, "authorization { user: u, password: p }")
	taken := startGateway(t)
	foreign := rig.StartNats(t, "")
	js := (&gateway{t: t}).js(foreign.URL())
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "EVENTS", Subjects: []string{"theirs.>"}}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		setting string
		want    []string
	}{
		"no secret":             {"ZORIO_WEBHOOK_SECRET=", []string{"ZORIO_WEBHOOK_SECRET"}},
		"a secret that is none": {"ZORIO_WEBHOOK_SECRET=fifteen letters", []string{"ZORIO_WEBHOOK_SECRET", "15 characters, at least 16", "32 letters and digits"}},
		"a path to tidy":        {"SLUICE_PATH=/a/../webhook", []string{"SLUICE_PATH", "slash"}},
		"a path with a query":   {"SLUICE_PATH=/webhook?x=1", []string{"SLUICE_PATH", "slash"}},
		"NATS_URL is of HTTP":   {"NATS_URL=http://localhost:4222", []string{"NATS_URL", "nats://host:4222"}},
		"REDIS_URL is of HTTP":  {"REDIS_URL=http://localhost:6379", []string{"REDIS_URL", "redis://host:6379"}},
		"port is busy":          {"SLUICE_LISTEN=" + busy.Addr().String(), []string{"SLUICE_LISTEN", "choose another port"}},
		"admin port is busy":    {"SLUICE_ADMIN=" + busy.Addr().String(), []string{"SLUICE_ADMIN", "choose another port"}},
		"hub port is busy":      {"SLUICE_HUB_LISTEN=" + busy.Addr().String(), []string{"SLUICE_HUB_LISTEN", "NATS_URL"}},
		"data is no folder":     {"SLUICE_DATA=" + file, []string{"SLUICE_DATA"}},
		"data is not writable":  {"SLUICE_DATA=/proc/sluice", []string{"SLUICE_DATA", "that this user may write"}},
		"data is another's":     {"SLUICE_DATA=" + taken.data, []string{"SLUICE_DATA", "in use by another gateway"}},
		"NATS_URL is none":      {"NATS_URL=localhost", []string{"NATS_URL", "nats://host:4222"}},
		"a stranger to NATS":    {"NATS_URL=" + guarded.URL(), []string{"does not let this user in", "NATS_CREDS"}},
		"another EVENTS":        {"NATS_URL=" + foreign.URL(), []string{"EVENTS", "theirs.>", "remove or rename"}},
		"three copies, one":     {"SLUICE_REPLICAS=3", []string{"SLUICE_REPLICAS=1"}},
		"REDIS_URL is none":     {"REDIS_URL=localhost:6379", []string{"REDIS_URL", "redis://host:6379"}},
		"bad number":            {"SLUICE_MAX_INFLIGHT=many", []string{"SLUICE_MAX_INFLIGHT", "many"}},
		"bad path":              {"SLUICE_PATH=webhook", []string{"SLUICE_PATH", "slash"}},
	} {
		t.Run(name, func(t *testing.T) {
			environment := rig.Environment("ZORIO_WEBHOOK_SECRET="+secret, "SLUICE_LISTEN="+rig.Address(t), "SLUICE_ADMIN="+rig.Address(t),
				"SLUICE_HUB_LISTEN="+rig.Address(t), "SLUICE_DATA="+t.TempDir(), c.setting)
			p := rig.Start(t, rig.Build(t, "./gateway"), nil, environment)
			if code := p.Wait(90 * time.Second); code != 1 {
				t.Errorf("exit code %d", code)
			}
			lines := strings.Split(strings.TrimSpace(p.Output()), "\n")
			last := lines[len(lines)-1]
			for _, want := range append(c.want, "gateway: ") {
				if !strings.Contains(last, want) {
					t.Errorf("%q is not in: %s", want, last)
				}
			}
		})
	}
}

func TestAStartSaysWhatHolds(t *testing.T) {
	n := rig.StartNats(t, "")
	g := startGateway(t, "NATS_URL="+strings.Replace(n.URL(), "nats://", "nats://user:hunter2@", 1), "SLUICE_NATS_MONITOR=http://"+n.Monitor)
	g.WaitFor("listening", 30*time.Second)
	for _, want := range []string{"SLUICE_LATE ", "quarantine", "SLUICE_LISTEN", g.address} {
		if !strings.Contains(g.Output(), want) {
			t.Errorf("%q is not in the output", want)
		}
	}
	for _, never := range []string{"hunter2", secret, "sync_interval"} {
		if strings.Contains(g.Output(), never) {
			t.Errorf("%q is in the output", never)
		}
	}
}

// A NATS as it comes: it syncs every two minutes, and takes messages of 1 MB.
func TestAServerThatIsNotConfiguredForItIsNamed(t *testing.T) {
	t.Parallel()
	n := rig.StartNats(t, "")
	n.Kill()
	n.AsItComes()
	n.Restart()
	g := startGateway(t, "NATS_URL="+n.URL(), "SLUICE_NATS_MONITOR=http://"+n.Monitor)
	g.worth(telemetry.Degraded, "in memory of one server until it syncs: a power cut loses the last 2 minutes", "set sync_interval: always")
	g.WaitFor(`"msg":"what a 200 is worth: in memory of one server`, 30*time.Second)
	g.WaitFor("set max_payload: 2MB", 30*time.Second)
	if got := g.send("pbx.call.hangup", "1", bytes.Repeat([]byte("x"), 1<<20)); got != "413 Body too large" {
		t.Errorf("a body that NATS cannot take: %s", got)
	}
}

// inside starts a gateway with engines outside, and leaves a delivery in it that waits for NATS.
func inside(t *testing.T) (g *gateway, redis *rig.Redis, nats *rig.Nats, answer <-chan string) {
	t.Helper()
	g, redis, nats = startWithEngines(t, "SLUICE_JOURNAL=off")
	nats.Signal(syscall.SIGSTOP)
	answered := make(chan string, 1)
	b := body("pbx.call.hangup", 1)
	go func() {
		got, err := g.try(zorio.Headers(secret, "pbx.call.hangup", "inside", time.Now(), b), b)
		answered <- fmt.Sprint(got, err)
	}()
	rig.Eventually(t, 3*time.Second, "it is inside", func() bool { return g.metric("sluice_requests_in_flight 1") })
	return g, redis, nats, answered
}

func TestSIGTERMAnswersWhatIsInsideAndEndsWithZero(t *testing.T) {
	g, redis, nats, answer := inside(t)
	g.from("127.0.0.1") // one that says nothing holds up nobody
	g.Signal(syscall.SIGTERM)
	g.WaitFor("stopping", 20*time.Second)
	rig.Eventually(t, 3*time.Second, "/readyz says that it is stopping", func() bool {
		r, code := g.readiness()
		return r.Status == "stopping" && code == http.StatusServiceUnavailable
	})
	rig.Eventually(t, 3*time.Second, "it takes no more in", func() bool {
		conn, err := net.Dial("tcp", g.address)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	nats.Signal(syscall.SIGCONT)
	if got := <-answer; got != "200 OK<nil>" {
		t.Errorf("what was inside: %s", got)
	}
	if code := g.Wait(30 * time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if sequence := remembered(t, redis, "inside"); sequence != 1 {
		t.Errorf("it is remembered as %d", sequence)
	}
}

// A stop under load ends within its time, whatever is going on.
func TestSIGTERMUnderLoadLosesNothing(t *testing.T) {
	t.Parallel()
	g := startGateway(t)
	l := g.load()
	for range 2 {
		l.more(t, 300)
		if code := g.Stop(30 * time.Second); code != 0 {
			t.Errorf("exit code %d", code)
		}
		g.Start()
	}
	l.more(t, 100)
	l.balance(t, "nats://"+g.hub)
}

func TestASecondSignalEndsItAtOnce(t *testing.T) {
	g, _, nats, answer := inside(t)
	defer nats.Signal(syscall.SIGCONT)
	g.Signal(syscall.SIGTERM)
	g.WaitFor("stopping", 20*time.Second)
	g.Signal(syscall.SIGINT)
	if code := g.Wait(20 * time.Second); code != 1 {
		t.Errorf("exit code %d", code)
	}
	<-answer
}
