package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/ops/doctor"
	"github.com/sluicehq/sluice/internal/rig"
)

// showing is the URL of a server that shows a certificate of a folder, and answers 200 OK.
func showing(t *testing.T, a *rig.Authority, name string) string {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(a.File(name), a.File(name+"-key"))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("OK")) }))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL + "/webhook"
}

// send and doctor name what is wrong with a certificate, and what to do.
func TestWhatIsWrongWithACertificateIsSaid(t *testing.T) {
	g := newStage(t)
	root := rig.NewAuthority(t)
	between := root.Intermediate()
	day := 24 * time.Hour
	issue := func(by *rig.Authority, name string, change ...func(*x509.Certificate)) string {
		by.Issue(name, change...)
		return showing(t, by, name)
	}
	alone := func(by *rig.Authority, name string) string {
		by.Issue(name, func(c *x509.Certificate) { c.IssuingCertificateURL = []string{"http://ca.test/between.crt"} })
		text, _ := os.ReadFile(by.File(name))
		first, _ := pem.Decode(text)
		rig.Replace(t, by.File(name), pem.EncodeToMemory(first))
		return showing(t, by, name)
	}
	for name, c := range map[string]struct{ url, ca, what, remedy string }{
		"right":                {issue(between, "right"), "ca", "", ""},
		"expired":              {issue(root, "old", func(c *x509.Certificate) { c.NotBefore, c.NotAfter = time.Now().Add(-2*day), time.Now().Add(-day) }), "ca", "the certificate of localhost, 127.0.0.1 expired ", "renew it, or correct the clock"},
		"not yet valid":        {issue(root, "new", func(c *x509.Certificate) { c.NotBefore, c.NotAfter = time.Now().Add(day), time.Now().Add(2*day) }), "ca", "is not valid before ", "correct the clock here"},
		"another name":         {issue(root, "other", func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = []string{"hooks.test"}, []net.IP{} }), "ca", "the certificate is for hooks.test, not for 127.0.0.1", "ask for one of those names"},
		"an unknown authority": {issue(root, "stranger"), "", "is signed by an unknown authority, sluice test ca", "trust that authority with --ca"},
		"signed by itself":     {showing(t, root, "ca"), "", "is signed by itself", "trust it with --ca"},
		"an incomplete chain":  {alone(between, "alone"), "ca", "the chain is incomplete: the certificate of localhost, 127.0.0.1 comes without that of sluice test ca", "put that one behind it in the file of SLUICE_TLS_CERT"},
		"plain HTTP":           {"https://" + plain(t), "", "the port takes plain HTTP, no TLS", "use http://, or set SLUICE_TLS_CERT"},
	} {
		args, o := []string{"send", "pbx.call.hangup", "--url", c.url, "--nats", ""}, doctor.Options{NATSURL: "nats://127.0.0.1:1", URL: c.url}
		if c.ca != "" {
			args, o.Authorities = append(args, "--ca", root.File(c.ca)), root.File(c.ca)
		}
		stdout, stderr, code := g.ctl(t.Context(), "", args...)
		told := examine(t, o)
		if c.what == "" {
			if code != 0 || !strings.Contains(stdout, "200 OK") || !strings.Contains(told, "ok certificate 127.0.0.1:") || !strings.Contains(told, "TLS 1.3, certificate of localhost, 127.0.0.1 by sluice test ca, valid until ") {
				t.Errorf("%s: exit code %d\n%s%s%s", name, code, stdout, stderr, told)
			}
			continue
		}
		if code != 1 || !strings.Contains(stderr, c.what) || !strings.Contains(stderr, ": "+c.remedy) {
			t.Errorf("%s: send: exit code %d\n%s", name, code, stderr)
		}
		if !strings.Contains(told, "fail certificate "+c.url+": ") || !strings.Contains(told, c.what) || !strings.Contains(told, "→ "+c.remedy) {
			t.Errorf("%s: doctor: %s", name, told)
		}
	}
}

// plain is the address of a server without TLS.
func plain(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// With a gateway that takes HTTPS, each mistake is named, and --ca is all it takes.
func TestSendingToAGatewayWithHTTPS(t *testing.T) {
	s, a := newStage(t), rig.NewAuthority(t)
	a.Issue("gateway")
	g := rig.StartGateway(t, rig.Launch{}, "SLUICE_TLS_CERT="+a.File("gateway"), "SLUICE_TLS_KEY="+a.File("gateway-key"))
	g.Ready()
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--url", "https://" + g.Address + "/webhook", "--ca", a.File("ca")}, 0, "200 OK"},
		{[]string{"--url", "http://" + g.Address + "/webhook"}, 1, "This port takes HTTPS: use https://"},
		{[]string{"--url", "https://" + g.Address + "/webhook", "--ca", a.File("gateway-key")}, exitMisused, "no certificate is in it"},
		{[]string{"--url", "https://" + g.Address + "/webhook", "--ca", "/nowhere.pem"}, exitMisused, "no such file"},
	} {
		stdout, stderr, code := s.ctl(t.Context(), "", append([]string{"send", "pbx.call.hangup", "--nats", "", "--secret", rig.Secret}, c.args...)...)
		if code != c.code || !strings.Contains(stdout+stderr, c.want) {
			t.Errorf("%v: exit code %d\n%s%s", c.args, code, stdout, stderr)
		}
	}
	if told := examine(t, doctor.Options{NATSURL: "nats://127.0.0.1:1", Admin: g.Admin}); !strings.Contains(told, "ok gateway certificate: localhost: valid until ") {
		t.Error(told)
	}
}

// What the gateway's environment says of HTTPS is known to who runs sluicectl with it.
func TestTheURLFollowsTheGatewaysSettings(t *testing.T) {
	for _, c := range []struct{ listen, cert, acme, url, registered string }{
		{"", "", "", "http://127.0.0.1:3000/webhook", ""},
		{":443", "cert.pem", "", "https://127.0.0.1:443/webhook", ""},
		{":443", "", "hooks.test, second.test", "https://hooks.test/webhook", "https://hooks.test/webhook"},
		{":8443", "", "hooks.test", "https://hooks.test:8443/webhook", "https://hooks.test:8443/webhook"},
		{"systemd", "", "hooks.test", "https://hooks.test/webhook", "https://hooks.test/webhook"},
	} {
		for name, value := range map[string]string{"SLUICE_LISTEN": c.listen, "SLUICE_TLS_CERT": c.cert, "SLUICE_TLS_ACME": c.acme, "SLUICE_PATH": ""} {
			t.Setenv(name, value)
		}
		if url, registered := webhookURL(), registeredURL(); url != c.url || registered != c.registered {
			t.Errorf("%+v: %s, %s", c, url, registered)
		}
	}
}
