package main

import (
	"bytes"
	"crypto/x509"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

// due is a validity so short that a certificate may be renewed from its first second on.
const due = 50 * time.Second

// issued waits until a name has another certificate than before.
func (p *pebble) issued(name string, before *x509.Certificate) *x509.Certificate {
	p.t.Helper()
	var now *x509.Certificate
	rig.Eventually(p.t, time.Minute, name+" has a new certificate", func() bool {
		now = p.shown(name)
		return now != nil && now.DNSNames[0] == name && (before == nil || now.SerialNumber.Cmp(before.SerialNumber) != 0)
	})
	return now
}

// A whole life: issued for each name, renewed under load without a failed request, and found again after a restart.
func TestCertificatesAreIssuedAndRenewed(t *testing.T) {
	t.Parallel()
	p := newPebble(t, due)
	p.Start()
	g := startGateway(t, p.settings("hooks.test, second.test")...)
	g.address, g.secured = p.https, true
	first, second := p.issued("hooks.test", nil), p.issued("second.test", nil)
	if other := p.shown("stranger.test"); other == nil || other.DNSNames[0] != "hooks.test" {
		t.Errorf("another name is shown %v", other)
	}
	rig.Eventually(t, time.Minute, "/readyz tells of both", func() bool {
		d := g.dependency("certificate")
		return d.Status == telemetry.OK && strings.Contains(d.Detail, "hooks.test: valid until ") && strings.Contains(d.Detail, "second.test: valid until ") && strings.Contains(d.Detail, "renewed by itself")
	})
	for name, leaf := range map[string]*x509.Certificate{"hooks.test": first, "second.test": second} {
		if got := g.value(fmt.Sprintf("sluice_certificate_expiry_timestamp_seconds{name=%q}", name)); got != float64(leaf.NotAfter.Unix()) {
			t.Errorf("the metric of %s says %v, not %d", name, got, leaf.NotAfter.Unix())
		}
	}
	hints(t, g, p)
	isPrivate(t, filepath.Join(g.data, "acme"))

	g.client = p.client("hooks.test", true)
	s := g.steady(200, 100, 0)
	s.more(t, 50)
	g.Signal(syscall.SIGHUP)
	renewed := p.issued("hooks.test", first)
	s.more(t, 50)
	if failures, _ := s.balance(t, "nats://"+g.hub); failures > 0 {
		t.Errorf("%d failures", failures)
	}
	p.Kill()
	g.Stop(10 * time.Second)
	g.Start()
	g.ready()
	if now := p.shown("hooks.test"); now == nil || now.NotBefore.Before(renewed.NotBefore) {
		t.Errorf("after a restart %v is shown", now)
	}
}

var patient = flag.Bool("patient", false, "wait for what takes a minute: a certificate that is renewed by itself")

// Nobody has to ask for a renewal: within the minute in which it is looked at, a certificate that is due is renewed.
func TestACertificateIsRenewedByItself(t *testing.T) {
	if !*patient {
		t.Skip("it takes more than a minute: `make soak` runs it")
	}
	t.Parallel()
	p := newPebble(t, due)
	p.Start()
	startGateway(t, p.settings("hooks.test")...)
	first, begin := p.issued("hooks.test", nil), time.Now()
	rig.Eventually(t, 2*time.Minute, "it is renewed", func() bool {
		time.Sleep(time.Second)
		now := p.shown("hooks.test")
		return now != nil && now.SerialNumber.Cmp(first.SerialNumber) != 0
	})
	t.Logf("after %s", time.Since(begin).Round(time.Second))
}

// hints checks that the port for plain HTTP takes nothing and tells where to go.
func hints(t *testing.T, g *gateway, p *pebble) {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Post("http://"+p.http+"/webhook", "application/json", bytes.NewReader(body("pbx.call.hangup", 1)))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	if answer.StatusCode != http.StatusBadRequest || string(text) != "This port takes no webhooks: send them to https://hooks.test/webhook\n" {
		t.Errorf("%s %s", answer.Status, text)
	}
	g.WaitFor("a plain request came to SLUICE_TLS_HTTP", 20*time.Second)
}

// isPrivate checks that nobody else may read what is in a folder.
func isPrivate(t *testing.T, folder string) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %s", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// Each kind of challenge is enough.
func TestEitherPortAnswersChallenges(t *testing.T) {
	t.Parallel()
	for name, setting := range map[string]string{"443": "SLUICE_TLS_HTTP=off", "80": "SLUICE_LISTEN=unix:"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPebble(t, time.Hour)
			p.Start()
			if strings.HasSuffix(setting, ":") {
				setting += filepath.Join(t.TempDir(), "webhooks.sock")
			}
			g := startGateway(t, append(p.settings("hooks.test"), setting)...)
			rig.Eventually(t, time.Minute, "it has a certificate", func() bool { return g.dependency("certificate").Status == telemetry.OK })
		})
	}
}

// While the server is away nothing else stops: without a certificate yet, and with one that should be renewed.
func TestTheACMEServerMayBeAway(t *testing.T) {
	t.Parallel()
	p := newPebble(t, due)
	g := startGateway(t, p.settings("hooks.test")...)
	g.address = p.https
	rig.Eventually(t, time.Minute, "/readyz says why there is none", func() bool {
		d := g.dependency("certificate")
		return d.Status == telemetry.Degraded && strings.Contains(d.Detail, "hooks.test: there is none: handshakes fail: cannot reach the ACME server") && strings.Contains(d.Remedy, "SIGHUP")
	})
	if shown := p.shown("hooks.test"); shown != nil {
		t.Errorf("%v is shown", shown.Subject)
	}
	if status, text := g.raw("GET / HTTP/1.1\r\nHost: x\r\n\r\n"); status != "400" || !strings.Contains(text, "HTTPS") {
		t.Errorf("plain HTTP: %s %s", status, text)
	}
	rig.Eventually(t, 20*time.Second, "a handshake without a certificate is counted", func() bool { return g.value(`sluice_tls_handshakes_total{result="no_certificate"}`) > 0 })

	p.Start()
	g.Signal(syscall.SIGHUP)
	first := p.issued("hooks.test", nil)
	g.secured, g.client = true, p.client("hooks.test", true)
	p.Kill()
	g.Signal(syscall.SIGHUP)
	rig.Eventually(t, time.Minute, "/readyz says that it is not renewed", func() bool {
		d := g.dependency("certificate")
		return d.Status == telemetry.Degraded && strings.Contains(d.Detail, "cannot reach the ACME server") && !strings.Contains(d.Detail, "there is none")
	})
	if now := p.shown("hooks.test"); now == nil || now.SerialNumber.Cmp(first.SerialNumber) != 0 {
		t.Error("the old one is not shown any more")
	}
	if got := g.send("pbx.call.hangup", "1", body("pbx.call.hangup", 1)); got != "200 OK" {
		t.Error(got)
	}

	p.Start() // a new one, which has never heard of the gateway's account: the first attempt finds that out
	rig.Eventually(t, time.Minute, "a new account gets a certificate", func() bool {
		g.Signal(syscall.SIGHUP)
		time.Sleep(time.Second)
		now := p.shown("hooks.test")
		return now != nil && now.SerialNumber.Cmp(first.SerialNumber) != 0
	})
	rig.Eventually(t, time.Minute, "/readyz says that all is well", func() bool { return g.dependency("certificate").Status == telemetry.OK })
}

// A server that wants to be left alone is, and the operator reads so.
func TestTheACMEServerMayLimitTheRate(t *testing.T) {
	t.Parallel()
	p := newPebble(t, time.Hour)
	p.Start()
	front := limited(t, p)
	g := startGateway(t, append(p.settings("hooks.test"), "SLUICE_TLS_ACME_DIRECTORY=https://"+front.address+"/dir")...)
	rig.Eventually(t, time.Minute, "/readyz says that the rate is limited", func() bool {
		d := g.dependency("certificate")
		return d.Status == telemetry.Degraded && strings.Contains(d.Detail, "too many certificates already issued (rateLimited)") && strings.Contains(d.Remedy, "do not restart meanwhile")
	})
	if asked := front.asked.Load(); asked > 3 {
		t.Errorf("it was asked %d times", asked)
	}
	front.open.Store(true)
	g.Signal(syscall.SIGHUP)
	p.issued("hooks.test", nil)
}

// front stands before an ACME server, and limits the rate of orders until it is open.
type front struct {
	address string
	open    atomic.Bool
	asked   atomic.Int32
}

func limited(t *testing.T, p *pebble) *front {
	t.Helper()
	f := &front{address: rig.Address(t)}
	l, err := net.Listen("tcp", f.address)
	if err != nil {
		t.Fatal(err)
	}
	behind := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "https", Host: p.address})
			r.Out.Host = r.In.Host
		},
		Transport: &http.Transport{TLSClientConfig: p.authority.Trust(), DisableKeepAlives: true},
	}
	server := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/order-plz" || f.open.Load() {
			behind.ServeHTTP(w, r)
			return
		}
		f.asked.Add(1)
		w.Header().Set("Content-Type", "application/problem+json")
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, `{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many certificates already issued","status":429}`)
	})}
	go func() { _ = server.ServeTLS(l, p.authority.File("pebble"), p.authority.File("pebble-key")) }()
	t.Cleanup(func() { _ = server.Close() })
	return f
}

// Gateways that share a folder ask once, and have the same certificate.
func TestGatewaysThatShareAFolderAskOnce(t *testing.T) {
	t.Parallel()
	p, nats, data := newPebble(t, time.Hour), rig.StartNats(t, ""), t.TempDir()
	p.Start()
	settings := append(p.settings("hooks.test"), "SLUICE_DATA="+data, "SLUICE_LISTEN_REUSEPORT=true", "NATS_URL="+nats.URL(), "SLUICE_NATS_MONITOR=http://"+nats.Monitor)
	both := []*gateway{beginGateway(t, settings...), beginGateway(t, settings...)}
	for _, g := range both {
		g.ready()
		rig.Eventually(t, time.Minute, "it has a certificate", func() bool { return g.dependency("certificate").Status == telemetry.OK })
	}
	said := func(what string) int { return strings.Count(both[0].Output()+both[1].Output(), what) }
	rig.Eventually(t, 10*time.Second, "who asked says that it has one", func() bool { return said(`"a certificate was issued"`) > 0 })
	if asked := said(`"asking for a certificate"`); asked != 1 {
		t.Errorf("%d certificates were asked for", asked)
	}
	both[0].Kill() // the one that is left shows the same
	if shown := p.issued("hooks.test", nil); shown == nil {
		t.Error("no certificate")
	}
}

func TestSettingsOfACMEThatCannotBeAreRefused(t *testing.T) {
	t.Parallel()
	a := rig.NewAuthority(t)
	a.Issue("gateway")
	write(t, a.File("garbage"), "no certificate")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, c := range map[string]struct {
		settings []string
		want     string
	}{
		"both":            {append(secured(a), "SLUICE_TLS_ACME=hooks.test"), "SLUICE_TLS_ACME and SLUICE_TLS_CERT are both set"},
		"a wildcard":      {[]string{"SLUICE_TLS_ACME=*.test"}, `"*.test" cannot have a certificate`},
		"an address":      {[]string{"SLUICE_TLS_ACME=127.0.0.1"}, "use host names"},
		"a URL":           {[]string{"SLUICE_TLS_ACME=https://hooks.test"}, "use host names"},
		"plain HTTP":      {[]string{"SLUICE_TLS_ACME=hooks.test", "SLUICE_TLS_ACME_DIRECTORY=http://acme.test"}, "use an https:// URL"},
		"no authority":    {[]string{"SLUICE_TLS_ACME=hooks.test", "SLUICE_TLS_ACME_CA=" + a.File("garbage")}, "no certificate is in it"},
		"no way in":       {[]string{"SLUICE_TLS_ACME=hooks.test", "SLUICE_TLS_HTTP=off", "SLUICE_LISTEN=unix:/tmp/x.sock"}, "use a port for one of them"},
		"a port in use":   {[]string{"SLUICE_TLS_ACME=hooks.test", "SLUICE_TLS_HTTP=" + taken.Addr().String()}, "or set SLUICE_TLS_HTTP=off"},
		"not an address":  {[]string{"SLUICE_TLS_ACME=hooks.test", "SLUICE_TLS_HTTP=80"}, "use host:port"},
		"no folder to be": {[]string{"SLUICE_TLS_ACME=hooks..test"}, "use host names"},
	} {
		g := beginGateway(t, c.settings...)
		if code := g.Wait(30 * time.Second); code != 1 || !strings.Contains(g.Output(), c.want) {
			t.Errorf("%s: exit code %d: %s", name, code, g.Output())
		}
	}
	_ = os.Remove("/tmp/x.sock")
}
