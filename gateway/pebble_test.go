package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/sluicehq/sluice/internal/rig"
)

// pebble is an ACME server: Let's Encrypt's own for tests, to which every name leads to loopback.
type pebble struct {
	*rig.Process
	t         testing.TB
	args      []string
	authority *rig.Authority // of its own certificate
	address   string
	manage    string
	https     string // where it looks for whose name it is
	http      string
}

// newPebble prepares one that is not started, whose certificates are valid for a while.
func newPebble(t testing.TB, validity time.Duration) *pebble {
	t.Helper()
	p := &pebble{t: t, authority: rig.NewAuthority(t), address: rig.Address(t), manage: rig.Address(t), https: rig.Address(t), http: rig.Address(t)}
	p.authority.Issue("pebble")
	config := map[string]any{"pebble": map[string]any{
		"listenAddress": p.address, "managementListenAddress": p.manage, "certificate": p.authority.File("pebble"), "privateKey": p.authority.File("pebble-key"),
		"httpPort": port(p.http), "tlsPort": port(p.https), "keyAlgorithm": "ecdsa", "retryAfter": map[string]int{"authz": 1, "order": 1},
		"profiles": map[string]any{"default": map[string]any{"description": "for tests", "validityPeriod": int(validity.Seconds())}},
	}}
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "pebble.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	p.args = []string{"-config", file, "-dnsserver", loopbackDNS(t)}
	return p
}

func port(address string) int {
	_, text, _ := net.SplitHostPort(address)
	n, _ := strconv.Atoi(text)
	return n
}

// Start starts it, or starts it again: it has a new root then, and forgets every account.
func (p *pebble) Start() {
	p.t.Helper()
	if p.Process == nil {
		p.Process = rig.Start(p.t, rig.Tool(p.t, "github.com/letsencrypt/pebble/v2/cmd/pebble"), p.args, rig.Environment("PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=5"))
	} else {
		p.Process.Start()
	}
	p.Listening(p.address)
	p.Listening(p.manage)
}

// settings are those of a gateway that gets its certificates from it.
func (p *pebble) settings(names string) []string {
	return []string{
		"SLUICE_TLS_ACME=" + names, "SLUICE_TLS_ACME_DIRECTORY=https://" + p.address + "/dir", "SLUICE_TLS_ACME_CA=" + p.authority.File("ca"),
		"SLUICE_LISTEN=" + p.https, "SLUICE_TLS_HTTP=" + p.http,
	}
}

// trust are the settings of a client that knows its root, and for which a certificate never expires: this machine may be
// slow.
func (p *pebble) trust(name string) *tls.Config {
	p.t.Helper()
	client := p.authority.Client(true)
	answer, err := client.Get("https://" + p.manage + "/roots/0")
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	root, err := io.ReadAll(answer.Body)
	all := x509.NewCertPool()
	if err != nil || !all.AppendCertsFromPEM(root) {
		p.t.Fatalf("no root: %v", err)
	}
	return &tls.Config{ServerName: name, InsecureSkipVerify: true, VerifyConnection: func(c tls.ConnectionState) error {
		between := x509.NewCertPool()
		for _, one := range c.PeerCertificates[1:] {
			between.AddCert(one)
		}
		leaf := c.PeerCertificates[0]
		_, err := leaf.Verify(x509.VerifyOptions{Roots: all, Intermediates: between, DNSName: name, CurrentTime: leaf.NotBefore.Add(time.Second)})
		return err
	}}
}

// shown is the certificate that who asks for a name is shown; nil where there is no handshake.
func (p *pebble) shown(name string) *x509.Certificate {
	conn, err := tls.Dial("tcp", p.https, &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err != nil {
		return nil
	}
	defer func() { _ = conn.Close() }()
	return conn.ConnectionState().PeerCertificates[0]
}

// client trusts it, and keeps its connections or does not.
func (p *pebble) client(name string, fresh bool) *http.Client {
	p.t.Helper()
	return &http.Client{Transport: &http.Transport{TLSClientConfig: p.trust(name), DisableKeepAlives: fresh, MaxIdleConnsPerHost: 64}, Timeout: patience}
}

// loopbackDNS is a server that leads every name to 127.0.0.1. Pebble asks by TCP.
func loopbackDNS(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go answerDNS(conn)
		}
	}()
	return l.Addr().String()
}

// answerDNS answers questions that come with their length before them, RFC 1035 section 4.2.2.
func answerDNS(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	for {
		var size uint16
		if binary.Read(conn, binary.BigEndian, &size) != nil {
			return
		}
		question := make([]byte, size)
		if _, err := io.ReadFull(conn, question); err != nil {
			return
		}
		answer := loopbackAnswer(question)
		_, _ = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
	}
}

func loopbackAnswer(question []byte) []byte {
	var m dnsmessage.Message
	if m.Unpack(question) != nil || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	m.Response, m.Authoritative, m.Additionals = true, true, nil
	if q.Type == dnsmessage.TypeA {
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 1}, Body: &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
		}}
	}
	answer, _ := m.Pack()
	return answer
}
