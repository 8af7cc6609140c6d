package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
)

// more waits until so many further deliveries of a sender are taken.
func (s *steady) more(t *testing.T, count int) {
	t.Helper()
	enough := s.taken() + count
	rig.Eventually(t, 60*time.Second, fmt.Sprintf("%d deliveries are taken", enough), func() bool { return s.taken() >= enough })
}

func (s *steady) taken() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.attempts {
		if !a.failed() {
			n++
		}
	}
	return n
}

// balance ends a sender that tries each delivery once, sends again what has failed, and holds all of it against what is
// stored. A failure is no 200, however long that takes on a busy machine; run is how many there were one after the other.
func (s *steady) balance(t *testing.T, url string) (failures, run int) {
	t.Helper()
	close(s.stop)
	s.active.Wait()
	inRow, slowest, last := 0, attempt{}, "none"
	for _, a := range s.attempts {
		if a.took > slowest.took {
			slowest = a
		}
		if inRow++; !a.failed() {
			inRow = 0
			continue
		}
		failures, run, last = failures+1, max(run, inRow), a.answer
	}
	first := s.attempts
	for _, a := range first {
		if again := a; a.failed() {
			if again = s.try(a.id); again.failed() {
				t.Errorf("delivery %s, sent again: %s", a.id, again.answer)
			}
		}
	}
	cmp.Or(s.next, s.g).drained()
	var copies map[string]int
	rig.Eventually(t, 90*time.Second, "all are in the stream, through the journal if need be", func() bool {
		copies = stored(t, s.g.js(url))
		return !slices.ContainsFunc(first, func(a attempt) bool { return copies[a.id] == 0 })
	})
	for _, a := range first {
		if copies[a.id] != 1 {
			t.Errorf("delivery %s is stored %d times", a.id, copies[a.id])
		}
	}
	t.Logf("%d deliveries, each stored once; %d failed at first, at most %d in a row, the last: %s; the slowest took %s",
		len(first), failures, run, last, slowest.took.Round(time.Millisecond))
	return failures, run
}

// patience is how long a delivery may wait for a gateway that starts. Zorio waits for 5 s, and a busy machine for longer:
// that it may be soon is measured by package faults.
const patience = 30 * time.Second

// clients are a sender that keeps its connections, and one that opens one for each delivery.
func clients() map[string]*http.Client {
	return map[string]*http.Client{
		"kept connections": {Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: patience},
		"new connections":  {Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience},
	}
}

// activate starts a gateway on a socket that stays open, as systemd does.
func activate(t *testing.T, settings ...string) *gateway {
	t.Helper()
	g := &gateway{t: t, admin: rig.Address(t), hub: rig.Address(t), data: t.TempDir(), client: &http.Client{Timeout: 10 * time.Second}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	socket, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = socket.Close(), l.Close() })
	g.address = l.Addr().String()
	g.Process = rig.StartActivated(t, socket, rig.Build(t, "./gateway"), rig.Environment(append([]string{
		"ZORIO_WEBHOOK_SECRET=" + secret, "SLUICE_LISTEN=systemd", "SLUICE_ADMIN=" + g.admin, "SLUICE_HUB_LISTEN=" + g.hub, "SLUICE_DATA=" + g.data,
	}, settings...)...))
	t.Cleanup(g.client.CloseIdleConnections)
	g.ready()
	return g
}

// A gateway that is killed under load loses nothing. What connects from then on waits in the socket and is answered: only
// what it had in hand fails, far from the 50 in a row that suspend the URL.
func TestAKillLosesNothingAndTheSocketStays(t *testing.T) {
	t.Parallel()
	for rate, name := range map[int]string{200: "kept connections", 1000: "new connections"} {
		t.Run(fmt.Sprint(rate, " a second, ", name), func(t *testing.T) {
			g := activate(t)
			g.client = clients()[name]
			s := g.steady(rate, 100, 0)
			s.more(t, rate/4)
			killed := time.Now()
			g.Kill()
			g.Start()
			s.more(t, rate/2)
			s.balance(t, "nats://"+g.hub)
			if failed := s.failures(killed.Add(noticed)); len(failed) > 0 {
				t.Errorf("%d deliveries failed that began after it was killed, the first: %s", len(failed), failed[0].answer)
			}
		})
	}
}

// noticed is how long a client may take to see that a connection which it keeps is closed.
const noticed = time.Second

// A gateway that is stopped and started by systemd fails no delivery.
func TestAReplacementOnAnInheritedSocketFailsNothing(t *testing.T) {
	for name, client := range clients() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := activate(t)
			g.client = client
			s := g.steady(500, 100, 0)
			for range 2 {
				s.more(t, 250)
				if code := g.Stop(30 * time.Second); code != 0 {
					t.Errorf("exit code %d", code)
				}
				g.Start()
			}
			s.more(t, 250)
			if failures, _ := s.balance(t, "nats://"+g.hub); failures > 0 {
				t.Errorf("%d failures", failures)
			}
		})
	}
}

// The next gateway starts beside the one before, on the same port, and that one then stops.
func TestAReplacementOnASharedPortFailsNothing(t *testing.T) {
	for name, client := range clients() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nats, data := rig.StartNats(t, ""), t.TempDir()
			start := func(address string) *gateway {
				g := startGateway(t, "SLUICE_LISTEN="+address, "SLUICE_LISTEN_REUSEPORT=true", "SLUICE_DATA="+data, "NATS_URL="+nats.URL(), "SLUICE_NATS_MONITOR=http://"+nats.Monitor)
				g.address = address
				return g
			}
			g := start(rig.Address(t))
			g.client = client
			s := g.steady(500, 100, 0)
			for range 3 {
				s.more(t, 500)
				next := start(g.address)
				if code := g.Stop(30 * time.Second); code != 0 {
					t.Errorf("exit code %d", code)
				}
				g = next
			}
			s.next = g
			s.more(t, 250)
			if failures, _ := s.balance(t, nats.URL()); failures > 0 {
				t.Errorf("%d failures", failures)
			}
		})
	}
}

// overUnix posts to a unix socket.
func overUnix(socket string) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
}

func TestAUnixSocketIsAListenAddress(t *testing.T) {
	t.Parallel()
	socket := t.TempDir() + "/webhooks.sock"
	g := startGateway(t, "SLUICE_LISTEN=unix:"+socket, "SLUICE_LISTEN_MODE=0666", "SLUICE_MAX_CONNECTIONS_PER_IP=1")
	g.address, g.client = "gateway", overUnix(socket)
	s := g.steady(200, 100, 0)
	s.more(t, 50)
	if info, err := os.Stat(socket); err != nil || info.Mode() != os.ModeSocket|0o666 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	g.Kill() // leaves the file behind
	g.Start()
	s.more(t, 50)
	s.balance(t, "nats://"+g.hub)
	if code := g.Stop(30 * time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if _, err := os.Stat(socket); !os.IsNotExist(err) {
		t.Errorf("the socket of a gateway that has ended is still there: %v", err)
	}
}

func TestASocketThatCannotBeTakenNamesTheRemedy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir+"/file", "")
	taken := startGateway(t, "SLUICE_LISTEN=unix:"+dir+"/taken")
	hung := startGateway(t, "SLUICE_LISTEN=unix:"+dir+"/hung")
	hung.Signal(syscall.SIGSTOP)
	for name, c := range map[string]struct{ settings, want []string }{
		"one that is in use":        {[]string{"SLUICE_LISTEN=unix:" + dir + "/taken"}, []string{"another process listens on it", "choose another name"}},
		"one of a hung process":     {[]string{"SLUICE_LISTEN=unix:" + dir + "/hung"}, []string{"another process listens on it"}},
		"a file":                    {[]string{"SLUICE_LISTEN=unix:" + dir + "/file"}, []string{"no socket", "remove it"}},
		"no folder":                 {[]string{"SLUICE_LISTEN=unix:" + dir + "/no/socket"}, []string{"SLUICE_LISTEN", "no such file", "a folder that this user may write to"}},
		"too long":                  {[]string{"SLUICE_LISTEN=unix:" + dir + "/" + strings.Repeat("x", 108)}, []string{"at most 107 characters"}},
		"no mode":                   {[]string{"SLUICE_LISTEN=unix:" + dir + "/new", "SLUICE_LISTEN_MODE=rw"}, []string{"SLUICE_LISTEN_MODE", "rw", "0660"}},
		"nothing from systemd":      {[]string{"SLUICE_LISTEN=systemd"}, []string{"passed no socket", "sluice-gateway.socket"}},
		"a socket that is shared":   {[]string{"SLUICE_LISTEN=unix:" + dir + "/new", "SLUICE_LISTEN_REUSEPORT=true", "NATS_URL=nats://127.0.0.1:1"}, []string{"SLUICE_LISTEN_REUSEPORT", "use host:port"}},
		"a folder that is shared":   {[]string{"SLUICE_LISTEN=" + rig.Address(t), "SLUICE_LISTEN_REUSEPORT=true"}, []string{"SLUICE_LISTEN_REUSEPORT", "set NATS_URL"}},
		"a port that is not shared": {[]string{"SLUICE_LISTEN=" + taken.admin, "SLUICE_LISTEN_REUSEPORT=true", "NATS_URL=nats://127.0.0.1:1"}, []string{"start it too with SLUICE_LISTEN_REUSEPORT=true"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := beginGateway(t, c.settings...)
			if code := g.Wait(30 * time.Second); code != 1 {
				t.Errorf("exit code %d", code)
			}
			for _, want := range c.want {
				if !strings.Contains(g.Output(), want) {
					t.Errorf("%q is not in: %s", want, g.Output())
				}
			}
		})
	}
}
