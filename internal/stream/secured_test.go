package stream_test

import (
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/secure"
	"github.com/sluicehq/sluice/internal/stream"
)

// mutual is the configuration of a NATS that takes TLS alone, and no client without a certificate of the authority's.
func mutual(a *rig.Authority) string {
	a.Issue("nats")
	return fmt.Sprintf("tls { cert_file: %q, key_file: %q, ca_file: %q, verify: true }", a.File("nats"), a.File("nats-key"), a.File("ca"))
}

func client(a *rig.Authority) secure.Files {
	a.Issue("client")
	return secure.Files{Server: "NATS", CA: a.File("ca"), Cert: a.File("client"), Key: a.File("client-key")}
}

func TestANATSThatCertificatesKeepAwaySaysWhy(t *testing.T) {
	t.Parallel()
	a, other := rig.NewAuthority(t), rig.NewAuthority(t)
	ours, theirs := client(a), client(other)
	server, plain := rig.StartNats(t, mutual(a)), rig.StartNats(t, "")
	a.Issue("elsewhere", func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = []string{"elsewhere.test"}, nil })
	elsewhere := rig.StartNats(t, fmt.Sprintf("tls { cert_file: %q, key_file: %q }", a.File("elsewhere"), a.File("elsewhere-key")))
	a.Issue("expired", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	for name, c := range map[string]struct {
		url       string
		files     secure.Files
		want, and string
	}{
		"right":              {server.URL(), ours, "", ""},
		"another authority":  {server.URL(), secure.Files{Server: "NATS", CA: theirs.CA, Cert: ours.Cert, Key: ours.Key}, "NATS_CA=" + theirs.CA, "put the one that did into that file"},
		"no authority":       {server.URL(), secure.Files{}, "set NATS_CA", ""},
		"no certificate":     {server.URL(), secure.Files{Server: "NATS", CA: ours.CA}, "set NATS_CERT and NATS_KEY", ""},
		"a stranger's":       {server.URL(), secure.Files{Server: "NATS", CA: ours.CA, Cert: theirs.Cert, Key: theirs.Key}, "NATS_CERT=" + theirs.Cert, "does not take"},
		"expired":            {server.URL(), secure.Files{Server: "NATS", CA: ours.CA, Cert: a.File("expired"), Key: a.File("expired-key")}, "NATS_CERT=" + a.File("expired"), "has expired"},
		"another name":       {elsewhere.URL(), ours, "NATS_URL", "certificate is for"},
		"no TLS there":       {plain.URL(), ours, "this NATS has no TLS", "nats://"},
		"no such file":       {server.URL(), secure.Files{Server: "NATS", CA: "/no/such/file"}, "NATS_CA: open /no/such/file", "may read"},
		"a key that is none": {server.URL(), secure.Files{Server: "NATS", CA: ours.CA, Cert: ours.Cert, Key: theirs.Key}, "NATS_KEY=" + theirs.Key, "belongs to it"},
	} {
		t.Run(name, func(t *testing.T) {
			nc, err := stream.Connect(t.Context(), stream.Options{URL: c.url, TLS: c.files, Log: slog.New(slog.DiscardHandler)})
			if err == nil {
				nc.Close()
			}
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.and)) {
				t.Error(err)
			}
		})
	}
}

// A certificate that is replaced, or an authority that is added, is used by the connections that follow.
func TestANewCertificateForNATSNeedsNoRestart(t *testing.T) {
	t.Parallel()
	a, next := rig.NewAuthority(t), rig.NewAuthority(t)
	ours := client(a)
	server := rig.StartNats(t, mutual(a))
	nc, err := stream.Connect(t.Context(), stream.Options{URL: server.URL(), TLS: ours, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	next.Issue("nats")
	next.Issue("client")
	for _, name := range []string{"ca", "nats", "nats-key", "client", "client-key"} {
		text, err := os.ReadFile(next.File(name))
		if err != nil {
			t.Fatal(err)
		}
		rig.Replace(t, a.File(name), text)
	}
	before := nc.Stats().Reconnects
	server.Kill()
	server.Restart()
	rig.Eventually(t, 20*time.Second, "it is connected again", func() bool {
		return nc.Stats().Reconnects > before && nc.Status() == nats.CONNECTED && nc.Flush() == nil
	})
}
