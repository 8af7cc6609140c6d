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
	"github.com/sluicehq/sluice/pkg/zorio"
)

// through sends a whole request on a connection, with further headers, and returns its answer.
func (g *gateway) through(conn net.Conn, secret, delivery string, more ...string) string {
	g.t.Helper()
	if _, err := conn.Write(g.written(secret, delivery, more...)); err != nil {
		g.t.Fatal(err)
	}
	return answerOn(conn)
}

func (g *gateway) written(secret, delivery string, more ...string) []byte {
	b := body("pbx.call.hangup", 1)
	request, _ := http.NewRequest(http.MethodPost, g.url(), bytes.NewReader(b))
	request.Header = zorio.Headers(secret, "pbx.call.hangup", delivery, time.Now(), b)
	for i := 0; i+1 < len(more); i += 2 {
		request.Header.Add(more[i], more[i+1])
	}
	var text bytes.Buffer
	_ = request.Write(&text) // a buffer takes everything
	return text.Bytes()
}

func answerOn(conn net.Conn) string {
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return "closed"
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	return fmt.Sprint(answer.StatusCode, " ", string(text))
}

const stranger = "0123456789abcdefghijABCDEFGHIJ99"

// Limits and logs know the sender behind a trusted proxy, and nobody else's word changes anything.
func TestTheSenderBehindATrustedProxyIsKnown(t *testing.T) {
	t.Parallel()
	g := startGateway(t, "SLUICE_TRUSTED_PROXIES=127.0.0.2,10.0.0.0/8", "SLUICE_MAX_CONNECTIONS_PER_IP=1")
	proxy := g.from("127.0.0.2")
	if said := g.through(proxy, stranger, "1", "X-Forwarded-For", "9.9.9.9, 203.0.113.9", "X-Forwarded-For", "10.0.0.4"); !strings.HasPrefix(said, "401") {
		t.Error(said)
	}
	g.WaitFor(`"peer":"203.0.113.9"`, 20*time.Second)

	// One sender has one request at a time, over whatever connections of the proxy's.
	part := g.written(secret, "2", "X-Forwarded-For", "203.0.113.9")
	slow := g.begun("127.0.0.2", string(part[:len(part)-5]))
	rig.Eventually(t, 20*time.Second, "its body is awaited", func() bool { return g.value("sluice_requests_in_flight_bytes") > 0 })
	if said := g.through(g.from("127.0.0.2"), secret, "3", "X-Forwarded-For", "203.0.113.9"); said != "429 Too many connections" {
		t.Errorf("the sender's second request: %s", said)
	}
	for _, other := range []string{"203.0.113.10", "unknown", "10.0.0.9"} {
		if said := g.through(g.from("127.0.0.2"), secret, "to-"+other, "X-Forwarded-For", other); said != "200 OK" {
			t.Errorf("%s: %s", other, said)
		}
	}
	if _, err := slow.Write(part[len(part)-5:]); err != nil {
		t.Fatal(err)
	}
	if said := answerOn(slow); said != "200 OK" {
		t.Error(said)
	}
	if said := g.through(g.from("127.0.0.2"), secret, "4", "X-Forwarded-For", "203.0.113.9"); said != "200 OK" {
		t.Errorf("after its first request: %s", said)
	}

	// A stranger counts as itself, whoever it says it is.
	one := g.from("127.0.0.3")
	if said := g.through(one, secret, "5", "X-Forwarded-For", "203.0.113.11"); said != "200 OK" {
		t.Error(said)
	}
	if said := answerOn(g.from("127.0.0.3")); said != "429 Too many connections" {
		t.Errorf("its second connection: %s", said)
	}
}

// What a proxy says in the PROXY protocol counts like the address of a connection.
func TestTheSenderIsKnownByThePROXYProtocol(t *testing.T) {
	t.Parallel()
	g := startGateway(t, "SLUICE_TRUSTED_PROXIES=127.0.0.2", "SLUICE_PROXY_PROTOCOL=true", "SLUICE_MAX_CONNECTIONS_PER_IP=1")
	const signature, four = "\r\n\r\n\x00\r\nQUIT\n", "\x21\x11\x00\x0c"
	sender := func(last byte) string {
		return signature + four + string([]byte{203, 0, 113, last, 127, 0, 0, 1, 0x9c, 0x40, 1, 187})
	}
	if said := g.through(g.from("127.0.0.2"), secret, "nothing"); said != "400 Bad request" {
		t.Errorf("no header: %s", said)
	}
	g.WaitFor("SLUICE_PROXY_PROTOCOL=true expects", 20*time.Second)
	for name, c := range map[string]struct{ from, header, secret, want string }{
		"version 1":          {"127.0.0.2", "PROXY TCP4 203.0.113.20 127.0.0.1 40000 443\r\n", secret, "200 OK"},
		"version 2":          {"127.0.0.2", sender(21), secret, "200 OK"},
		"a health check":     {"127.0.0.2", signature + "\x20\x00\x00\x00", secret, "200 OK"},
		"nonsense":           {"127.0.0.2", "PROXY nonsense and more\r\n", secret, "400 Bad request"},
		"a stranger's":       {"127.0.0.4", "PROXY TCP4 203.0.113.22 127.0.0.1 40000 443\r\n", secret, "400 Bad request"},
		"a stranger's, in 2": {"127.0.0.5", sender(23), secret, "400 Bad request"},
		"a stranger":         {"127.0.0.6", "", secret, "200 OK"},
		"unauthentic":        {"127.0.0.2", "PROXY TCP4 203.0.113.24 127.0.0.1 40000 443\r\n", stranger, "401 Invalid signature"},
	} {
		if said := g.through(g.begun(c.from, c.header), c.secret, strings.ReplaceAll(name, " ", "-")); said != c.want {
			t.Errorf("%s: %s, want %s", name, said, c.want)
		}
	}
	g.WaitFor(`"peer":"203.0.113.24:40000"`, 20*time.Second)

	open := g.begun("127.0.0.2", sender(25))
	if said := g.through(open, secret, "open"); said != "200 OK" {
		t.Error(said)
	}
	if said := answerOn(g.begun("127.0.0.2", sender(25))); said != "429 Too many connections" {
		t.Errorf("its second connection: %s", said)
	}
	if said := g.through(g.begun("127.0.0.2", sender(26)), secret, "another"); said != "200 OK" {
		t.Errorf("another sender: %s", said)
	}
}
