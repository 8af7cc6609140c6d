package main

import (
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

// manage plays systemd's side of sd_notify: what a service says, message by message.
func manage(t *testing.T) (setting string, said func() []string) {
	t.Helper()
	address := t.TempDir() + "/notify"
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	var all rig.Buffer
	go func() {
		message := make([]byte, 4096)
		for {
			n, err := conn.Read(message)
			if err != nil {
				return
			}
			_, _ = all.Write(append(message[:n:n], 0))
		}
	}()
	return "NOTIFY_SOCKET=" + address, func() []string { return strings.Split(all.String(), "\x00") }
}

// heard waits until a message that begins so has come after the first so many, and returns how many there are then.
func heard(t *testing.T, said func() []string, after int, begins string) (upTo int) {
	t.Helper()
	rig.Eventually(t, time.Minute, "the gateway says "+begins, func() bool {
		for i, message := range said() {
			if i >= after && strings.HasPrefix(message, begins) {
				upTo = i + 1
				return true
			}
		}
		return false
	})
	return upTo
}

func TestSystemdIsToldHowTheGatewayIs(t *testing.T) {
	t.Parallel()
	nats := rig.StartNats(t, "")
	nats.Signal(syscall.SIGSTOP)
	notify, said := manage(t)
	g := beginGateway(t, notify, "WATCHDOG_USEC=900000", "SLUICE_JOURNAL=off", "NATS_URL="+nats.URL(), "SLUICE_NATS_MONITOR=http://"+nats.Monitor)
	heard(t, said, 0, "STATUS=unavailable; nats is down: ")
	n := heard(t, said, 0, "WATCHDOG=1")
	g.Signal(syscall.SIGHUP)
	heard(t, said, n, "WATCHDOG=1")
	for _, message := range said() {
		if strings.HasPrefix(message, "READY") || strings.HasPrefix(message, "RELOADING") {
			t.Errorf("before it stores anything it says %q", message)
		}
	}
	nats.Signal(syscall.SIGCONT)
	n = heard(t, said, 0, "READY=1")
	heard(t, said, 0, "STATUS=ready")
	if got := g.send("pbx.call.hangup", "1", body("pbx.call.hangup", 1)); got != "200 OK" {
		t.Errorf("when it is ready: %s", got)
	}
	g.Signal(syscall.SIGHUP)
	n = heard(t, said, n, "RELOADING=1\nMONOTONIC_USEC=")
	n = heard(t, said, n, "READY=1")

	nats.Signal(syscall.SIGSTOP) // NATS hangs: the gateway answers 503 in time, and is not to be killed for it
	if got := g.send("pbx.call.hangup", "2", body("pbx.call.hangup", 2)); !strings.HasPrefix(got, "503 ") {
		t.Errorf("while NATS hangs: %s", got)
	}
	n = heard(t, said, n, "STATUS=unavailable; nats is down: ")
	n = heard(t, said, n, "WATCHDOG=1")
	nats.Signal(syscall.SIGCONT)
	n = heard(t, said, n, "STATUS=ready")

	g.Signal(syscall.SIGTERM)
	heard(t, said, n, "STOPPING=1\nSTATUS=stopping")
	if code := g.Wait(30 * time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, message := range said() {
		if strings.Count(message, "\n") > 1 {
			t.Errorf("a message of several lines: %q", message)
		}
	}
}

// With a journal the gateway takes deliveries before NATS is there.
func TestSystemdStartsAGatewayThatKeepsDeliveriesWhileNATSIsAway(t *testing.T) {
	t.Parallel()
	notify, said := manage(t)
	g := beginGateway(t, notify, "NATS_URL=nats://"+rig.Address(t))
	heard(t, said, 0, "READY=1")
	heard(t, said, 0, "STATUS=degraded; nats is degraded: ")
	if got := g.send("pbx.call.hangup", "1", body("pbx.call.hangup", 1)); got != "200 OK" {
		t.Errorf("without NATS: %s", got)
	}
}

func TestTheStateIsOneLine(t *testing.T) {
	r := telemetry.Readiness{Status: "degraded", Dependencies: []telemetry.Dependency{
		{Name: "nats", Health: telemetry.Health{Status: telemetry.OK}},
		{Name: "redis", Health: telemetry.Health{Status: telemetry.Degraded, Detail: "connection refused\nREADY=1"}},
	}}
	if got, want := sentence(r), "degraded; redis is degraded: connection refused, READY=1"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// A gateway is stuck when deliveries wait and none is answered for long: not when it is idle, nor when it is slow.
func TestOnlyAStuckGatewayHasNoPulse(t *testing.T) {
	waiting, answered := 0, uint64(0)
	p := pulse{ask: func() (int, uint64) { return waiting, answered }}
	now := time.Now()
	for _, step := range []struct {
		later    time.Duration
		waiting  int
		answered uint64
		beats    bool
	}{
		{0, 0, 0, true},
		{time.Hour, 0, 0, true},                  // idle
		{time.Second, 5, 0, true},                // some have come
		{stuckAfter - 2*time.Second, 5, 0, true}, // slow, but in time
		{time.Second, 5, 0, false},               // stuck
		{time.Second, 9, 0, false},               // and more come
		{time.Second, 9, 1, true},                // one is answered
		{stuckAfter, 9, 1, false},
		{time.Second, 0, 10, true},
	} {
		now = now.Add(step.later)
		waiting, answered = step.waiting, step.answered
		if got := p.beats(now); got != step.beats {
			t.Errorf("%+v: %v", step, got)
		}
	}
}
