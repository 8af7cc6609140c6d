// Package handshake says what is wrong with a server's certificate, or with the port that it is asked on, in words and
// with what to do about it.
package handshake

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"
)

// Problem is an error that comes with its remedy.
type Problem struct {
	What, Remedy string
	cause        error
}

// Error implements error.
func (p *Problem) Error() string { return p.What + ": " + p.Remedy }

// Unwrap is what the library said.
func (p *Problem) Unwrap() error { return p.cause }

// Explain is err as a [*Problem] where a TLS handshake failed for a reason that it knows, and nil otherwise. host is the
// name that was asked for.
func Explain(err error, host string, now time.Time) *Problem {
	var unverified *tls.CertificateVerificationError
	var odd tls.RecordHeaderError
	var wire *net.OpError
	switch {
	case errors.As(err, &unverified) && len(unverified.UnverifiedCertificates) > 0:
		what, remedy := untrusted(unverified, host, now)
		return &Problem{what, remedy, err}
	case errors.As(err, &odd) || err != nil && strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return &Problem{"the port takes plain HTTP, no TLS", "use http://, or set SLUICE_TLS_CERT or SLUICE_TLS_ACME for the gateway, or ask at the proxy that takes HTTPS", err}
	case errors.As(err, &wire) && wire.Op == "remote error":
		return &Problem{"the server ended the TLS handshake: " + strings.TrimPrefix(wire.Err.Error(), "tls: "), "if it is a gateway, it has no certificate yet or too many connections: `sluicectl ready` there says which", err}
	}
	return nil
}

// untrusted says why a certificate is not good for a host.
func untrusted(err *tls.CertificateVerificationError, host string, now time.Time) (what, remedy string) {
	sent := err.UnverifiedCertificates
	leaf := sent[0]
	var invalid x509.CertificateInvalidError
	var name x509.HostnameError
	switch {
	case errors.As(err.Err, &invalid) && invalid.Reason == x509.Expired:
		return outOfTime(invalid.Cert, now)
	case errors.As(err.Err, &name):
		return fmt.Sprintf("the certificate is for %s, not for %s", Names(leaf), host), "ask for one of those names, or get a certificate for " + host
	case isSelfSigned(leaf):
		return "the certificate of " + Names(leaf) + " is signed by itself", "trust it with --ca, or get one from an authority that the sender knows"
	case LacksChain(sent):
		return fmt.Sprintf("the chain is incomplete: the certificate of %s comes without that of %s, which signed it", Names(leaf), leaf.Issuer.CommonName), "put that one behind it in the file of SLUICE_TLS_CERT: a CA calls such a file fullchain.pem"
	}
	last := sent[len(sent)-1]
	return fmt.Sprintf("the certificate of %s is signed by an unknown authority, %s", Names(leaf), last.Issuer.CommonName), "trust that authority with --ca, or get a certificate from one that the sender knows; if it is none, but signed by another itself, the chain is incomplete"
}

func outOfTime(c *x509.Certificate, now time.Time) (what, remedy string) {
	clock := ", and the clock here says " + stamp(now)
	if now.Before(c.NotBefore) {
		return fmt.Sprintf("the certificate of %s is not valid before %s%s", Names(c), stamp(c.NotBefore), clock), "correct the clock here (timedatectl), or wait until then"
	}
	return fmt.Sprintf("the certificate of %s expired %s%s", Names(c), stamp(c.NotAfter), clock), "renew it, or correct the clock here (timedatectl)"
}

// LacksChain reports whether of several certificates, the server's first, those in between are missing: the first says
// where the one that signed it is to be found, and nobody looks there.
func LacksChain(sent []*x509.Certificate) bool {
	return len(sent) == 1 && len(sent[0].IssuingCertificateURL) > 0 && !isSelfSigned(sent[0])
}

func isSelfSigned(c *x509.Certificate) bool { return bytes.Equal(c.RawIssuer, c.RawSubject) }

// Names are what a certificate is for.
func Names(c *x509.Certificate) string {
	names := c.DNSNames
	for _, ip := range c.IPAddresses {
		names = append(names[:len(names):len(names)], ip.String())
	}
	if len(names) == 0 {
		return c.Subject.CommonName
	}
	return strings.Join(names, ", ")
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// Trust are the settings of a client that trusts, beside the authorities of this machine, those in a file; an empty name
// stands for none.
func Trust(file string) (*tls.Config, error) {
	if file == "" {
		return &tls.Config{MinVersion: tls.VersionTLS12}, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	all, err := x509.SystemCertPool()
	if err != nil {
		all = x509.NewCertPool()
	}
	if !all.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s: no certificate is in it: name a PEM file", file)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: all}, nil
}

// within bounds a look at a server.
const within = 5 * time.Second

// Look makes a handshake with the server of an https:// URL, and describes in a line what it shows. The error is a
// [*Problem] where one is known.
func Look(ctx context.Context, address string, trust *tls.Config) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return "", &Problem{address + " is no https:// URL", "use the URL that is registered with the sender", err}
	}
	port := u.Port()
	if port == "" {
		port = "443"
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	conn, err := (&tls.Dialer{Config: trust}).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		if known := Explain(err, u.Hostname(), time.Now()); known != nil {
			return "", known
		}
		return "", err
	}
	defer func() { _ = conn.Close() }()
	state := conn.(*tls.Conn).ConnectionState()
	leaf := state.PeerCertificates[0]
	return fmt.Sprintf("%s: %s, certificate of %s by %s, valid until %s", u.Host, tls.VersionName(state.Version), Names(leaf), leaf.Issuer.CommonName, stamp(leaf.NotAfter)), nil
}
