package rig

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/telemetry"
)

// Gateway is the product's gateway, as a process.
type Gateway struct {
	*Process
	Address, Admin, Hub, Data string
}

// Launch is how a gateway is started; what is left empty is its own.
type Launch struct {
	Program string   // another build of it, or what becomes it
	Socket  *os.File // for webhooks: who connects while no gateway runs waits in the kernel; several may have the same
	Address string   // for webhooks
	Data    string
}

// StartGateway starts a gateway, and does not wait for it. Settings, NAME=value, are added.
func StartGateway(t testing.TB, l Launch, settings ...string) *Gateway {
	t.Helper()
	g := &Gateway{Address: cmp.Or(l.Address, Address(t)), Admin: Address(t), Hub: Address(t), Data: cmp.Or(l.Data, t.TempDir())}
	program := cmp.Or(l.Program, Build(t, "./gateway"))
	environment := Environment(append([]string{
		"ZORIO_WEBHOOK_SECRET=" + Secret, "SLUICE_LISTEN=" + g.Address, "SLUICE_ADMIN=" + g.Admin, "SLUICE_HUB_LISTEN=" + g.Hub, "SLUICE_DATA=" + g.Data,
	}, settings...)...)
	if l.Socket == nil {
		g.Process = Start(t, program, nil, environment)
		return g
	}
	g.Process, g.Address = StartActivated(t, l.Socket, program, environment), AddressOf(t, l.Socket)
	return g
}

// AddressOf is where a socket listens.
func AddressOf(t testing.TB, socket *os.File) string {
	t.Helper()
	l, err := net.FileListener(socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Socket listens on a free port of loopback, until the test ends.
func Socket(t testing.TB) *os.File {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	socket, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	return socket
}

// URL is where it takes webhooks.
func (g *Gateway) URL() string { return "http://" + g.Address + "/webhook" }

// Ready waits until /readyz says that it can store in NATS: in a journal it can before.
func (g *Gateway) Ready() {
	g.t.Helper()
	Eventually(g.t, 2*time.Minute, "the gateway is ready", func() bool {
		if !g.Running() {
			g.t.Fatalf("the gateway has ended:\n%s", g.Output())
		}
		r, code, err := g.Readiness()
		return err == nil && code == http.StatusOK && slices.ContainsFunc(r.Dependencies, func(d telemetry.Dependency) bool {
			return d.Name == "nats" && d.Status == telemetry.OK
		})
	})
}

// Readiness is what /readyz says, with its status.
func (g *Gateway) Readiness() (r telemetry.Readiness, code int, err error) {
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get("http://" + g.Admin + "/readyz")
	if err != nil {
		return r, 0, err
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(&r); err != nil {
		return r, 0, fmt.Errorf("/readyz: %w", err)
	}
	return r, answer.StatusCode, nil
}
