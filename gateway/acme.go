package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/sluicehq/sluice/gateway/certificate"
	"github.com/sluicehq/sluice/gateway/certificate/acme"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

// openACME has the certificates of SLUICE_TLS_ACME, and answers the server's challenges from now on.
func openACME(s *Settings, webhooks net.Listener, log *slog.Logger) (*certificates, error) {
	roots, err := s.acmeRoots()
	if err != nil {
		return nil, err
	}
	plain, err := s.listenPlain()
	if err != nil {
		return nil, err
	}
	config := acme.Config{
		Names: s.acmeNames(), Folder: filepath.Join(s.Data, "acme"), Directory: s.ACMEServer, Contact: s.ACMEContact, Roots: roots, HTTPS: webhooks.Addr(),
	}
	if plain != nil {
		config.HTTP = plain.Addr()
	}
	from := acme.New(config, log)
	c := &certificates{config: certificate.Config(from.Get, acme.Protocol), from: from, log: log}
	if plain != nil {
		c.challenges, c.plain = acme.NewServer(from, "https://"+config.Names[0]+s.Path, sayPlain(log)), plain
	}
	return c, nil
}

// sayPlain logs who uses plain HTTP, which may be the sender.
func sayPlain(log *slog.Logger) func(peer string) {
	limit := telemetry.NewLimiter(log, 10*time.Second)
	return func(peer string) {
		limit.Info("plain", "a plain request came to SLUICE_TLS_HTTP: it got a hint, and nothing of it was taken", "peer", peer, "remedy", "use https:// in the sender's URL, if it was the sender")
	}
}

// listenPlain opens SLUICE_TLS_HTTP; nil where that is off. Gateways that share their port share this one.
func (s *Settings) listenPlain() (net.Listener, error) {
	if s.TLSHTTP == "off" {
		return nil, nil
	}
	l, err := listenTCP("SLUICE_TLS_HTTP", s.TLSHTTP, s.ReusePort)
	if err != nil {
		return nil, fmt.Errorf("%w; or set SLUICE_TLS_HTTP=off, if port 443 leads here", err)
	}
	return l, nil
}

// acmeRoots are the authorities that are trusted for the ACME server; nil for those of this machine.
func (s *Settings) acmeRoots() (*x509.CertPool, error) {
	if s.ACMERoots == "" {
		return nil, nil
	}
	text, err := os.ReadFile(s.ACMERoots)
	if err != nil {
		return nil, fmt.Errorf("SLUICE_TLS_ACME_CA: %w: name a file that this user may read", err)
	}
	all := x509.NewCertPool()
	if !all.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("SLUICE_TLS_ACME_CA=%s: no certificate is in it: write those of the authority, PEM", s.ACMERoots)
	}
	return all, nil
}

func (s *Settings) acmeNames() (all []string) {
	for name := range strings.SplitSeq(s.TLSACME, ",") {
		all = append(all, strings.ToLower(strings.TrimSpace(name)))
	}
	return all
}

// hostname is what a certificate may be issued for when a server looks there whose name it is: no wildcard, no address.
var hostname = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)

func (s *Settings) checkACME() error {
	for _, name := range s.acmeNames() {
		if len(name) > 253 || !hostname.MatchString(name) {
			return fmt.Errorf("SLUICE_TLS_ACME=%q: %q cannot have a certificate: use host names such as hooks.example.com, separated by commas", s.TLSACME, name)
		}
	}
	if u, err := url.Parse(s.ACMEServer); err != nil || u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("SLUICE_TLS_ACME_DIRECTORY=%q: use an https:// URL", s.ACMEServer)
	}
	if _, _, err := net.SplitHostPort(s.TLSHTTP); err != nil && s.TLSHTTP != "off" {
		return fmt.Errorf("SLUICE_TLS_HTTP=%q: use host:port, :port for every address of this machine, or off", s.TLSHTTP)
	}
	if s.TLSHTTP == "off" && strings.HasPrefix(s.Listen, "unix:") {
		return errors.New("SLUICE_TLS_ACME: the ACME server can reach neither a unix socket nor SLUICE_TLS_HTTP=off: use a port for one of them")
	}
	_, err := s.acmeRoots()
	return err
}
