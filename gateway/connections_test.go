package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/pkg/signature"
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

// begun opens a connection and sends a part of a request.
func (g *gateway) begun(ip, part string) net.Conn {
	g.t.Helper()
	conn := g.from(ip)
	if _, err := io.WriteString(conn, part); err != nil {
		g.t.Fatal(err)
	}
	return conn
}

// inside opens a connection and sends a request on it, whose answer is not awaited.
func (g *gateway) inside(ip string) net.Conn {
	g.t.Helper()
	b := body("pbx.call.hangup", 1)
	request, _ := http.NewRequest(http.MethodPost, g.url(), bytes.NewReader(b))
	request.Header = zorio.Headers(secret, "pbx.call.hangup", "1", time.Now(), b)
	conn := g.from(ip)
	if err := request.Write(conn); err != nil {
		g.t.Fatal(err)
	}
	return conn
}

// ask sends a request on a connection, and returns its answer, or "closed".
func (g *gateway) ask(conn net.Conn, delivery string) string {
	g.t.Helper()
	b := body("pbx.call.hangup", 1)
	request, _ := http.NewRequest(http.MethodPost, g.url(), bytes.NewReader(b))
	request.Header = zorio.Headers(secret, "pbx.call.hangup", delivery, time.Now(), b)
	if err := request.Write(conn); err != nil {
		return "closed"
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return "closed"
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	return fmt.Sprint(answer.StatusCode, " ", string(text))
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
	nats := rig.StartNats(t, "")
	nats.Kill()                                                                                                                                // so that requests stay inside for a while
	g := beginGateway(t, "SLUICE_MAX_CONNECTIONS=4", "SLUICE_JOURNAL=off", "NATS_URL="+nats.URL(), "SLUICE_NATS_MONITOR=http://"+nats.Monitor) // an address has half of them
	g.Listening(g.admin)
	first := g.inside("127.0.0.1")
	g.inside("127.0.0.1")
	if got := refused(t, g.from("127.0.0.1")); got != "429 Too Many Requests: Too many connections" {
		t.Errorf("a third one from one address: %s", got)
	}
	g.inside("127.0.0.2")
	g.inside("127.0.0.2")
	rig.Eventually(t, 20*time.Second, "they are inside", func() bool { return g.metric("sluice_requests_in_flight 4") })
	for range 3 {
		if got := refused(t, g.from("127.0.0.3")); got != "503 Service Unavailable: Too many connections" {
			t.Errorf("a fifth one of all: %s", got)
		}
	}
	for _, line := range []string{`sluice_requests_total{answer="too_many_connections"} 3`, `sluice_requests_total{answer="too_many_connections_per_ip"} 1`} {
		if !g.metric(line) {
			t.Errorf("not in the metrics: %s", line)
		}
	}
	g.WaitFor("SLUICE_MAX_CONNECTIONS_PER_IP", 20*time.Second)
	_ = first.Close()
	nats.Restart()
	rig.Eventually(t, time.Minute, "the place of a closed connection is free", func() bool {
		return strings.HasPrefix(g.ask(g.from("127.0.0.1"), "1"), "200 ")
	})
}

// Requests that never are complete take places like no requests at all: who sends whole ones gets one, and keeps it.
func TestUnfinishedRequestsMakePlace(t *testing.T) {
	t.Parallel()
	b := body("pbx.call.hangup", 1)
	head := fmt.Sprintf("POST /webhook HTTP/1.1\r\nHost: sluice\r\nX-Zorio-Signature: %s\r\nContent-Length: 60000\r\n\r\n", signature.Sign(secret, b))
	for name, part := range map[string]string{
		"a head": "POST /webhook HTTP/1.1\r\nHost: sl", "a body": head + "{", "a body behind another request": "GET / HTTP/1.1\r\nHost: sluice\r\n\r\n" + head + "{",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := startGateway(t, "SLUICE_MAX_CONNECTIONS=20")
			stop := time.Now().Add(6 * time.Second)
			for n := range 20 {
				conn := g.begun(fmt.Sprintf("127.0.0.%d", n%4+2), part)
				go trickle(conn, stop)
			}
			var kept net.Conn
			rig.Eventually(t, 5*time.Second, "there is a place for who sends a whole request", func() bool {
				kept = g.from("127.0.0.1")
				return g.ask(kept, "1") == "200 OK"
			})
			for n := range 10 { // more come, and take the places of those like them
				g.begun("127.0.0.9", part)
				if got := g.ask(kept, "1"); got != "200 Duplicate" {
					t.Fatalf("after %d more: %s", n, got)
				}
			}
		})
	}
}

// trickle sends a byte now and then.
func trickle(conn net.Conn, stop time.Time) {
	for time.Now().Before(stop) {
		if _, err := io.WriteString(conn, "x"); err != nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// Who idles longest makes place for who asks; who has just come does not.
func TestIdleConnectionsMakePlace(t *testing.T) {
	g := startGateway(t, "SLUICE_MAX_CONNECTIONS=6")
	var idle []net.Conn
	for n := range 5 {
		conn := g.from(fmt.Sprintf("127.0.0.%d", n/2+1))
		if got := g.ask(conn, fmt.Sprint(n)); got != "200 OK" {
			t.Fatal(got)
		}
		idle = append(idle, conn)
	}
	g.begun("127.0.0.3", "POST ")
	var last net.Conn
	rig.Eventually(t, 20*time.Second, "there is a place for one more", func() bool {
		last = g.from("127.0.0.4")
		return g.ask(last, "more") == "200 OK"
	})
	if got := g.ask(idle[0], "again"); got != "closed" {
		t.Errorf("the longest idle connection: %s", got)
	}
	for _, conn := range append(idle[1:], last) {
		if got := g.ask(conn, "more"); got != "200 Duplicate" {
			t.Errorf("another connection: %s", got)
		}
	}
}

// However fast some addresses come again, others find places, and a sender's connection stays.
func TestWhoComesAgainAtOnceLeavesPlaces(t *testing.T) {
	t.Parallel()
	g := startGateway(t, "SLUICE_MAX_CONNECTIONS=20")
	kept := g.from("127.0.0.1")
	if got := g.ask(kept, "kept"); got != "200 OK" {
		t.Fatal(got)
	}
	for n := range 60 {
		go g.comeAgain(fmt.Sprintf("127.0.0.%d", n%4+2))
	}
	rig.Eventually(t, 20*time.Second, "there is no place left", func() bool { return g.value(`sluice_requests_total{answer="too_many_connections"}`) > 200 })
	const others = 20
	answered := 0
	for n := range others {
		conn := g.from(fmt.Sprintf("127.0.1.%d", n+1))
		if g.ask(conn, fmt.Sprint(n)) == "200 OK" {
			answered++
		}
		_ = conn.Close()
	}
	if answered < others*9/10 {
		t.Errorf("%d of %d were answered", answered, others)
	}
	for range 3 {
		time.Sleep(1200 * time.Millisecond) // long enough to give its place away, if it were a stranger's
		if got := g.ask(kept, "kept"); got != "200 Duplicate" {
			t.Fatalf("a sender's connection: %s", got)
		}
	}
}

// comeAgain opens a connection, says nothing, and opens another when that is closed, until the test ends.
func (g *gateway) comeAgain(ip string) {
	for g.t.Context().Err() == nil {
		conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}).DialContext(g.t.Context(), "tcp", g.address)
		if err == nil {
			_, _ = io.Copy(io.Discard, conn)
			_ = conn.Close()
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// However few file descriptors there are, it is said, and the admin address has some.
func TestFileDescriptorsAreKeptForTheRest(t *testing.T) {
	g := beginGatewayBy(t, "/bin/sh", []string{"-c", "ulimit -n 256 && exec " + rig.Build(t, "./gateway")})
	g.WaitFor("SLUICE_MAX_CONNECTIONS=16384: this process may have 256 file descriptors, and takes 128 connections", 20*time.Second)
	g.ready()
	for n := range 400 {
		g.from(fmt.Sprintf("127.0.0.%d", n%4+1))
	}
	if !g.metric("sluice_requests_in_flight 0") {
		t.Error("the admin address does not answer")
	}
	rig.Eventually(t, 20*time.Second, "an honest request is answered", func() bool { return g.ask(g.from("127.0.0.5"), "1") == "200 OK" })
}
