package main

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// from opens a connection to the port for webhooks from one of loopback's addresses.
func (g *gateway) from(ip string) net.Conn {
	g.t.Helper()
	conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}).Dial("tcp", g.address)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(15 * time.Second))
	return conn
}

// refused reads the answer to a connection that is one too many: nothing has to be sent for it.
func refused(t *testing.T, conn net.Conn) string {
	t.Helper()
	r := bufio.NewReader(conn)
	answer, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || !answer.Close || answer.Header.Get("Retry-After") != "30" || answer.Header.Get("Server") != "" {
		t.Errorf("%v: %v", answer.Header, err)
	}
	if _, err := r.ReadByte(); err != io.EOF {
		t.Errorf("it is left open: %v", err)
	}
	return answer.Status + ": " + string(text)
}

func TestConnectionsAreBounded(t *testing.T) {
	g := startGateway(t, "SLUICE_MAX_CONNECTIONS=3", "SLUICE_MAX_CONNECTIONS_PER_IP=2")
	first := g.from("127.0.0.1")
	g.from("127.0.0.1")
	if got := refused(t, g.from("127.0.0.1")); got != "429 Too Many Requests: Too many connections" {
		t.Errorf("a third one from one address: %s", got)
	}
	g.from("127.0.0.2")
	for range 3 {
		if got := refused(t, g.from("127.0.0.3")); got != "503 Service Unavailable: Too many connections" {
			t.Errorf("a fourth one of all: %s", got)
		}
	}
	for _, line := range []string{`sluice_requests_total{answer="too_many_connections"} 3`, `sluice_requests_total{answer="too_many_connections_per_ip"} 1`} {
		if !g.metric(line) {
			t.Errorf("not in the metrics: %s", line)
		}
	}
	g.WaitFor("SLUICE_MAX_CONNECTIONS_PER_IP", 5*time.Second)
	_ = first.Close()
	b := body("pbx.call.hangup", 1)
	request, _ := http.NewRequest(http.MethodPost, g.url(), bytes.NewReader(b))
	request.Header = zorio.Headers(secret, "pbx.call.hangup", "1", time.Now(), b)
	var text strings.Builder
	if err := request.Write(&text); err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, 5*time.Second, "the place of a closed connection is free", func() bool {
		status, answer := g.raw(text.String())
		return status+answer == "200OK"
	})
}
