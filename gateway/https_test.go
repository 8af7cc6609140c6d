package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/pkg/telemetry"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// secured are the settings of a gateway that shows a certificate of an authority.
func secured(a *rig.Authority) []string {
	return []string{"SLUICE_TLS_CERT=" + a.File("gateway"), "SLUICE_TLS_KEY=" + a.File("gateway-key")}
}

// startSecured starts a gateway that takes HTTPS.
func startSecured(t *testing.T, settings ...string) (*gateway, *rig.Authority) {
	t.Helper()
	a := rig.NewAuthority(t)
	a.Issue("gateway")
	g := startGateway(t, append(secured(a), settings...)...)
	g.secured, g.client = true, a.Client(false)
	t.Cleanup(g.client.CloseIdleConnections)
	return g, a
}

// Who watches sees the certificate change, and no request fails for it.
func TestACertificateIsReplacedWithoutADroppedConnection(t *testing.T) {
	t.Parallel()
	for name, rate := range map[string]int{"kept connections": 200, "new connections": 50} { // a handshake costs as much as many deliveries
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g, a := startSecured(t)
			g.client = a.Client(name == "new connections")
			var opened atomic.Int32
			kept := kept(t, g, &opened)
			s := g.steady(rate, 100, 0)
			for n := range 3 {
				s.more(t, 50)
				expires := time.Now().Add(time.Duration(n+2) * 24 * time.Hour).Truncate(time.Second)
				a.Issue("gateway", func(c *x509.Certificate) { c.NotAfter = expires })
				if n == 2 {
					g.Signal(syscall.SIGHUP)
				}
				rig.Eventually(t, 30*time.Second, "the new one is shown", func() bool { return g.expiry(a).Equal(expires) })
				if got := g.value(`sluice_certificate_expiry_timestamp_seconds{name="localhost"}`); got != float64(expires.Unix()) {
					t.Errorf("the metric says %v, not %d", got, expires.Unix())
				}
			}
			s.more(t, 50)
			if failures, _ := s.balance(t, "nats://"+g.hub); failures > 0 {
				t.Errorf("%d failures", failures)
			}
			if kept(); opened.Load() != 1 {
				t.Errorf("a connection that was kept was opened %d times", opened.Load())
			}
		})
	}
}

// kept returns a request on a connection that is kept, and has done it once.
func kept(t *testing.T, g *gateway, opened *atomic.Int32) func() {
	client := *g.client
	client.Transport = g.client.Transport.(*http.Transport).Clone()
	client.Transport.(*http.Transport).DisableKeepAlives = false
	t.Cleanup(client.CloseIdleConnections)
	again := func() {
		trace := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{ConnectDone: func(string, string, error) { opened.Add(1) }})
		request, _ := http.NewRequestWithContext(trace, http.MethodGet, g.url(), nil)
		answer, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
	}
	again()
	return again
}

// expiry is that of the certificate which a new connection is shown.
func (g *gateway) expiry(a *rig.Authority) time.Time {
	conn, err := tls.Dial("tcp", g.address, a.Trust())
	if err != nil {
		g.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	return conn.ConnectionState().PeerCertificates[0].NotAfter
}

// What is wrong with new files costs no handshake: the old certificate is shown, /readyz and the log say why.
func TestAWrongCertificateIsNotTaken(t *testing.T) {
	t.Parallel()
	g, a := startSecured(t)
	before := g.expiry(a)
	other := rig.NewAuthority(t)
	other.Issue("gateway")
	for name, c := range map[string]struct{ file, text, want string }{
		"another key":       {"gateway-key", read(t, other.File("gateway-key")), "write the key that this certificate was issued for"},
		"half a key":        {"gateway-key", read(t, a.File("gateway-key"))[:60], "PEM"},
		"half of the chain": {"gateway", read(t, a.File("gateway"))[:200], "PEM"},
		"an empty file":     {"gateway", "", "PEM"},
	} {
		right := read(t, a.File(c.file))
		rig.Replace(t, a.File(c.file), []byte(c.text))
		rig.Eventually(t, 30*time.Second, name+" is said", func() bool {
			d := g.dependency("certificate")
			return d.Status == telemetry.Degraded && strings.Contains(d.Detail, c.want) && strings.Contains(d.Remedy, "correct the files")
		})
		if now := g.expiry(a); !now.Equal(before) {
			t.Errorf("%s: the certificate until %s is shown", name, now)
		}
		rig.Replace(t, a.File(c.file), []byte(right))
		rig.Eventually(t, 30*time.Second, "it is right again", func() bool { return g.dependency("certificate").Status == telemetry.OK })
	}
	g.WaitFor("keeping the certificate as it was", 20*time.Second)
	if got := g.send("pbx.call.hangup", "1", body("pbx.call.hangup", 1)); got != "200 OK" {
		t.Error(got)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Of a certificate that is not valid the gateway says so, and goes on: behind a wrong clock nothing else would help.
func TestAGatewayTellsHowItsCertificateIs(t *testing.T) {
	t.Parallel()
	day := 24 * time.Hour
	for name, c := range map[string]struct {
		from, until time.Duration
		status      telemetry.Status
		want        string
	}{
		"valid":         {-day, 60 * day, telemetry.OK, "59 days"},
		"expires soon":  {-80 * day, 6 * day, telemetry.Degraded, "5 days"},
		"expired":       {-2 * day, -day, telemetry.Degraded, "this machine's clock says"},
		"not yet valid": {day, 2 * day, telemetry.Degraded, "not valid before"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := rig.NewAuthority(t)
			a.Issue("gateway", func(x *x509.Certificate) { x.NotBefore, x.NotAfter = time.Now().Add(c.from), time.Now().Add(c.until) })
			g := startGateway(t, secured(a)...)
			d := g.dependency("certificate")
			if d.Status != c.status || !strings.Contains(d.Detail, c.want) || !strings.HasPrefix(d.Detail, "localhost: ") || (d.Remedy == "") != (c.status == telemetry.OK) {
				t.Errorf("%+v", d)
			}
			if c.status == telemetry.Degraded {
				g.WaitFor(`"level":"ERROR","msg":"something is wrong with the certificate","certificate":"`+"localhost: ", 20*time.Second)
			}
		})
	}
}

func TestABadCertificateIsRefusedAtStart(t *testing.T) {
	t.Parallel()
	a, other := rig.NewAuthority(t), rig.NewAuthority(t)
	a.Issue("gateway")
	other.Issue("gateway")
	write(t, a.File("garbage"), "no certificate")
	for name, c := range map[string]struct {
		settings []string
		want     string
	}{
		"no key":      {[]string{"SLUICE_TLS_CERT=" + a.File("gateway")}, "SLUICE_TLS_CERT is set without SLUICE_TLS_KEY"},
		"no cert":     {[]string{"SLUICE_TLS_KEY=" + a.File("gateway-key")}, "SLUICE_TLS_KEY is set without SLUICE_TLS_CERT"},
		"another key": {[]string{"SLUICE_TLS_CERT=" + a.File("gateway"), "SLUICE_TLS_KEY=" + other.File("gateway-key")}, "write the key that this certificate was issued for"},
		"garbage":     {[]string{"SLUICE_TLS_CERT=" + a.File("garbage"), "SLUICE_TLS_KEY=" + a.File("gateway-key")}, "both PEM"},
		"no file":     {[]string{"SLUICE_TLS_CERT=/nowhere.pem", "SLUICE_TLS_KEY=" + a.File("gateway-key")}, "name a file that this user may read"},
	} {
		g := beginGateway(t, c.settings...)
		if code := g.Wait(30 * time.Second); code != 1 || !strings.Contains(g.Output(), c.want) || strings.Count(g.Output(), "\n") != 1 {
			t.Errorf("%s: exit code %d: %s", name, code, g.Output())
		}
	}
}

// Each of the two mistakes that people make gets an answer that names it.
func TestTheWrongProtocolGetsAnAnswer(t *testing.T) {
	t.Parallel()
	t.Run("plain HTTP to HTTPS", func(t *testing.T) {
		t.Parallel()
		g, _ := startSecured(t)
		large := strings.Repeat("x", 200_000) // more than is read before the answer
		for _, request := range []string{
			"POST /webhook HTTP/1.1\r\nHost: sluice\r\nContent-Length: 200000\r\n\r\n" + large, "GET / HTTP/1.0\r\n\r\n",
		} {
			if status, text := g.raw(request); status != "400" || !strings.Contains(text, "This port takes HTTPS") {
				t.Errorf("%s %s", status, text)
			}
		}
		rig.Eventually(t, 20*time.Second, "it is counted", func() bool { // after the answer
			return g.metric(`sluice_tls_handshakes_total{result="plain_http"} 2`) && g.metric(`sluice_requests_total{answer="plain_http"} 2`)
		})
		g.WaitFor(`"answer":"plain_http"`, 20*time.Second)
	})
	t.Run("TLS to plain HTTP", func(t *testing.T) {
		t.Parallel()
		g := startGateway(t)
		for range 3 {
			_, err := tls.Dial("tcp", g.address, &tls.Config{InsecureSkipVerify: true})
			var odd tls.RecordHeaderError
			if !errors.As(err, &odd) || string(odd.RecordHeader[:]) != "HTTP/" {
				t.Errorf("%v", err)
			}
		}
		g.secured = true
		if _, err := g.try(nil, nil); err == nil || !strings.Contains(err.Error(), "server gave HTTP response to HTTPS client") {
			t.Errorf("%v", err)
		}
		rig.Eventually(t, 20*time.Second, "it is counted", func() bool { return g.metric(`sluice_requests_total{answer="tls"} 4`) })
		g.WaitFor(`"answer":"tls"`, 20*time.Second)
		if lines := strings.Count(g.Output(), `"answer":"tls"`); lines != 1 || !strings.Contains(g.Output(), "set SLUICE_TLS_CERT") {
			t.Errorf("%d lines: %s", lines, g.Output())
		}
	})
}

// Old protocols get no connection, and a client that does not trust the certificate is counted as such.
func TestHandshakesThatFailAreCounted(t *testing.T) {
	t.Parallel()
	g, a := startSecured(t)
	trusted := a.Trust()
	old := trusted.Clone()
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	weak := trusted.Clone()
	weak.MaxVersion, weak.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}
	second := trusted.Clone()
	second.MaxVersion = tls.VersionTLS12
	for name, c := range map[string]struct {
		client *tls.Config
		works  bool
	}{"TLS 1.1": {old, false}, "a weak cipher": {weak, false}, "a stranger's authority": {&tls.Config{RootCAs: x509.NewCertPool()}, false}, "TLS 1.2": {second, true}, "TLS 1.3": {trusted, true}} {
		conn, err := tls.Dial("tcp", g.address, c.client)
		if (err == nil) != c.works {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			_ = conn.Close()
		}
	}
	g.begun("127.0.0.1", "\x16\x03\x01").Close()
	for result, count := range map[string]int{"ok": 2, "protocol": 2, "refused_by_client": 1, "closed": 1, "timeout": 0} {
		line := fmt.Sprintf(`sluice_tls_handshakes_total{result=%q} %d`, result, count)
		rig.Eventually(t, 20*time.Second, line, func() bool { return g.metric(line) })
	}
}

// Handshakes that trickle in take places like no requests at all, and end.
func TestSlowHandshakesMakePlace(t *testing.T) {
	t.Parallel()
	g, a := startSecured(t, "SLUICE_MAX_CONNECTIONS=20")
	begun := time.Now()
	var slow []net.Conn
	for n := range 20 {
		slow = append(slow, g.begun(fmt.Sprintf("127.0.0.%d", n%4+2), "\x16\x03\x01\x02\x00\x01\x00"))
	}
	rig.Eventually(t, 10*time.Second, "there is a place for who comes through", func() bool {
		conn, err := tls.Dial("tcp", g.address, a.Trust())
		if err != nil {
			return false
		}
		defer func() { _ = conn.Close() }()
		return strings.HasPrefix(g.ask(conn, "1"), "200 ")
	})
	for _, conn := range slow {
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("after %s: %v", time.Since(begun), err)
		}
	}
	rig.Eventually(t, 20*time.Second, "each is counted: it made place, or took too long", func() bool {
		shed, late := g.value(`sluice_tls_handshakes_total{result="too_many_connections"}`), g.value(`sluice_tls_handshakes_total{result="timeout"}`)
		return shed > 0 && shed+late == 20
	})
}

// One connection too many hears of it as a TLS client does.
func TestOneConnectionTooManyGetsAnAlert(t *testing.T) {
	t.Parallel()
	g, a := startSecured(t, "SLUICE_MAX_CONNECTIONS=2", "SLUICE_MAX_CONNECTIONS_PER_IP=2")
	for range 2 {
		g.from("127.0.0.1")
	}
	_, err := tls.Dial("tcp", g.address, a.Trust())
	if err == nil || !strings.Contains(err.Error(), "internal error") && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%v", err)
	}
}

// Requests through TLS keep the limits of the plain port, and their answers arrive whole.
func TestLimitsHoldBehindTLS(t *testing.T) {
	t.Parallel()
	g, a := startSecured(t)
	for name, c := range map[string]struct{ request, want string }{
		"headers": {"POST /webhook HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("a", 20<<10) + "\r\n\r\n", "431"},
		"a body":  {"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n" + strings.Repeat("a", 300_000), "413"},
		"a path":  {"POST /other HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "404"},
	} {
		conn, err := tls.Dial("tcp", g.address, a.Trust())
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(15 * time.Second))
		go func() { _, _ = io.WriteString(conn, c.request) }()
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !strings.HasPrefix(answer.Status, c.want) {
			t.Errorf("%s: %s", name, answer.Status)
		}
		_ = answer.Body.Close()
		_ = conn.Close()
	}
}

// TLS goes with every way to listen.
func TestTLSOnEveryListener(t *testing.T) {
	t.Parallel()
	a := rig.NewAuthority(t)
	a.Issue("gateway")
	b := body("pbx.call.hangup", 1)
	t.Run("systemd", func(t *testing.T) {
		t.Parallel()
		g := activate(t, secured(a)...)
		g.secured, g.client = true, a.Client(true)
		if got := g.send("pbx.call.hangup", "1", b); got != "200 OK" {
			t.Error(got)
		}
	})
	t.Run("unix", func(t *testing.T) {
		t.Parallel()
		socket := t.TempDir() + "/webhooks.sock"
		g := startGateway(t, append(secured(a), "SLUICE_LISTEN=unix:"+socket)...)
		g.client = overUnix(socket)
		g.client.Transport.(*http.Transport).TLSClientConfig = a.Trust()
		g.address, g.secured = "localhost", true
		if got := g.post(zorio.Headers(secret, "pbx.call.hangup", "1", time.Now(), b), b); got != "200 OK" {
			t.Error(got)
		}
	})
}
