// Package certificate keeps the certificates that the gateway shows: two files that it reads again when they change, or
// certificates that an ACME server issues. Either way one replaces another without a connection being dropped.
package certificate

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sluicehq/sluice/internal/handshake"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

// ErrNone is what a handshake fails with where there is no certificate yet.
var ErrNone = errors.New("there is no certificate yet")

// State is the certificate for one name, and what is wrong with it.
type State struct {
	Name   string
	Leaf   *x509.Certificate // nil where there is none
	Chain  int               // how many certificates are shown, the leaf included
	Itself bool              // it is renewed by the gateway
	Wrong  *Problem          // with getting another one; nil while that works
}

// Problem is what is wrong, in one sentence, what to do, and since when.
type Problem struct {
	What, Remedy string
	Since        time.Time
}

// Config is that of a listener which shows what get returns: TLS 1.2 and 1.3, with ciphers that authenticate what they
// encrypt and keys that are forgotten. It speaks HTTP/1.1, and further protocols of get's own.
func Config(get func(*tls.ClientHelloInfo) (*tls.Certificate, error), protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: get,
		NextProtos:     append([]string{"http/1.1"}, protocols...),
		CipherSuites: []uint16{ // of TLS 1.2: those of 1.3 are all modern
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
	}
}

// soon is how long before its end a certificate should have been replaced: a week, or a third of a short life.
func soon(leaf *x509.Certificate) time.Duration {
	return min(7*24*time.Hour, leaf.NotAfter.Sub(leaf.NotBefore)/3)
}

// problem is what is wrong with a certificate now; nil for nothing.
func (s *State) problem(now time.Time) *Problem {
	clock := "this machine's clock says " + stamp(now)
	switch {
	case s.Leaf == nil && s.Wrong == nil:
		return &Problem{What: "there is none yet: handshakes fail", Remedy: "wait: it is being issued", Since: now}
	case s.Leaf == nil:
		return &Problem{What: "there is none: handshakes fail: " + s.Wrong.What, Remedy: s.Wrong.Remedy, Since: s.Wrong.Since}
	case now.Before(s.Leaf.NotBefore):
		return &Problem{What: "not valid before " + stamp(s.Leaf.NotBefore) + ", and " + clock + ": senders refuse it", Remedy: "correct the clock (timedatectl), or wait until then", Since: now}
	case now.After(s.Leaf.NotAfter):
		return &Problem{What: "expired " + stamp(s.Leaf.NotAfter) + ", and " + clock + ": senders refuse it" + s.why(), Remedy: "correct the clock (timedatectl) if it is wrong, or " + s.remedy(), Since: s.Leaf.NotAfter}
	case s.Wrong != nil:
		return &Problem{What: s.until(now) + ", and no other takes its place: " + s.Wrong.What, Remedy: s.Wrong.Remedy, Since: s.Wrong.Since}
	case now.Add(soon(s.Leaf)).After(s.Leaf.NotAfter) && !s.Itself:
		return &Problem{What: s.until(now), Remedy: s.remedy(), Since: s.Leaf.NotAfter.Add(-soon(s.Leaf))}
	case s.Chain == 1 && handshake.LacksChain([]*x509.Certificate{s.Leaf}):
		return &Problem{What: "shown without the intermediate certificates of " + s.Leaf.Issuer.CommonName + ": most senders refuse it", Remedy: "put them behind it in the file of SLUICE_TLS_CERT: a CA calls that file fullchain.pem", Since: s.Leaf.NotBefore}
	}
	return nil
}

func (s *State) why() string {
	if s.Wrong == nil {
		return ""
	}
	return "; " + s.Wrong.What
}

func (s *State) remedy() string {
	switch {
	case s.Wrong != nil:
		return s.Wrong.Remedy
	case s.Itself:
		return "wait: the gateway is renewing it"
	}
	return "put a new one into the files of SLUICE_TLS_CERT and SLUICE_TLS_KEY: they are read again by themselves"
}

func (s *State) until(now time.Time) string {
	return fmt.Sprintf("valid until %s (%s)", stamp(s.Leaf.NotAfter), left(s.Leaf.NotAfter.Sub(now)))
}

// left is a time that remains, in the largest unit of which there are two.
func left(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d hours", d/time.Hour)
	}
	return fmt.Sprintf("%d minutes", d/time.Minute)
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// Health is how certificates are, in one line. None of it is worth a 503: the old one, or a proxy that trusts it, goes on.
func Health(all []State, now time.Time) telemetry.Health {
	h := telemetry.Health{Status: telemetry.OK, Since: now}
	var said, remedies []string
	for _, s := range all {
		p := s.problem(now)
		if p == nil {
			said = append(said, s.Name+": "+s.until(now)+s.renewal())
			if h.Status == telemetry.OK && s.Leaf.NotBefore.Before(h.Since) {
				h.Since = s.Leaf.NotBefore
			}
			continue
		}
		if h.Status == telemetry.OK {
			h.Status, h.Since = telemetry.Degraded, p.Since
		}
		said, remedies = append(said, s.Name+": "+p.What), append(remedies, p.Remedy)
	}
	h.Detail, h.Remedy = strings.Join(said, "; "), strings.Join(remedies, "; ")
	return h
}

func (s *State) renewal() string {
	if s.Itself {
		return ", renewed by itself"
	}
	return ""
}

// nameOf is what a certificate is for, as metrics and people call it.
func nameOf(leaf *x509.Certificate) string {
	switch {
	case len(leaf.DNSNames) > 0:
		return leaf.DNSNames[0]
	case len(leaf.IPAddresses) > 0:
		return leaf.IPAddresses[0].String()
	}
	return leaf.Subject.CommonName
}
