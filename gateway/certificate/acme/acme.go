// Package acme gets certificates from an ACME server, such as Let's Encrypt, and renews them. They are kept in a folder,
// which several gateways may share: one of them asks, and whichever the server's challenge reaches answers it.
package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/sluicehq/sluice/gateway/certificate"
)

// Protocol is what a listener has to offer beside HTTP, so that the server can look there whose name it is (tls-alpn-01).
const Protocol = "acme-tls/1"

// Config is what a deployment chooses.
type Config struct {
	Names     []string       // one certificate each; the first is shown to who names none of them
	Folder    string         // keeps certificates, keys and the account; made where it is missing
	Directory string         // URL of the ACME server
	Contact   string         // e-mail address of the account; may be empty
	Roots     *x509.CertPool // trusted for the server itself; nil: those of this machine

	HTTPS net.Addr // where certificates are shown, if that is a port
	HTTP  net.Addr // where challenges of plain HTTP are answered; nil: nowhere
}

// ACME has the certificates. It is safe for concurrent use.
type ACME struct {
	names  []string
	config *certmagic.Config
	cache  *certmagic.Cache
	issuer *certmagic.ACMEIssuer
	server string
	log    *slog.Logger
	again  map[string]chan struct{}

	mu     sync.Mutex
	failed map[string]failure
}

// failure is the last attempt for a name, with what was shown then: once something else is, it is over.
type failure struct {
	shown *x509.Certificate
	what  certificate.Problem
}

// renewCheck is how often it is looked whether the time to renew has come. That costs nothing until it has.
const renewCheck = time.Minute

// New makes one that has nothing until Watch.
func New(c Config, log *slog.Logger) *ACME {
	a := &ACME{names: c.Names, server: c.Directory, log: log, again: map[string]chan struct{}{}, failed: map[string]failure{}}
	for _, name := range c.Names {
		a.again[name] = make(chan struct{}, 1)
	}
	quiet := zap.NewNop() // the events say what matters
	a.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert:   func(certmagic.Certificate) (*certmagic.Config, error) { return a.config, nil },
		RenewCheckInterval: renewCheck, Logger: quiet,
	})
	a.config = certmagic.New(a.cache, certmagic.Config{
		Storage: &certmagic.FileStorage{Path: c.Folder}, DefaultServerName: c.Names[0], FallbackServerName: c.Names[0],
		OCSP:    certmagic.OCSPConfig{DisableStapling: true}, // a start must not wait for one more server
		OnEvent: a.note, ShouldEmitFunc: func(event string) bool { return event != "tls_get_certificate" }, Logger: quiet,
	})
	a.issuer = certmagic.NewACMEIssuer(a.config, template(c, quiet))
	a.config.Issuers = []certmagic.Issuer{a.issuer}
	return a
}

// template says how to ask, and where the challenges arrive: on listeners that are there already, so that certmagic
// opens none.
func template(c Config, quiet *zap.Logger) certmagic.ACMEIssuer {
	t := certmagic.ACMEIssuer{
		CA: c.Directory, TestCA: c.Directory, Email: c.Contact, Agreed: true, TrustedRoots: c.Roots, Logger: quiet,
		CertObtainTimeout: 2 * time.Minute, DisableHTTPChallenge: true, DisableTLSALPNChallenge: true,
	}
	if t.Email == "" {
		t.Email = " " // for none at all it would ask on the standard input
	}
	if http, is := c.HTTP.(*net.TCPAddr); is {
		t.DisableHTTPChallenge, t.AltHTTPPort = false, http.Port
	}
	if https, is := c.HTTPS.(*net.TCPAddr); is {
		t.DisableTLSALPNChallenge, t.AltTLSALPNPort = false, https.Port
		if !https.IP.IsUnspecified() {
			t.ListenHost = https.IP.String()
		}
	}
	return t
}

// Get is for [tls.Config]. The certificate of the first name is shown to who names none of them.
func (a *ACME) Get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	shown, err := a.config.GetCertificate(hello)
	if err != nil && !slices.Equal(hello.SupportedProtos, []string{Protocol}) {
		return nil, certificate.ErrNone
	}
	return shown, err
}

// Challenges answers those that come by plain HTTP, and leaves everything else to next.
func (a *ACME) Challenges(next http.Handler) http.Handler { return a.issuer.HTTPChallengeHandler(next) }

// Watch loads what the folder has, gets what is missing and renews what is due, until ctx ends.
func (a *ACME) Watch(ctx context.Context) {
	var all sync.WaitGroup
	for _, name := range a.names {
		all.Go(func() { a.keep(ctx, name) })
	}
	all.Wait()
	a.cache.Stop()
	certmagic.CleanUpOwnLocks(context.WithoutCancel(ctx), zap.NewNop())
}

// Reload tries at once what would be tried later.
func (a *ACME) Reload() {
	for _, again := range a.again {
		select {
		case again <- struct{}{}:
		default: // it is about to
		}
	}
}

// Pauses between attempts to get a first certificate. Five in the first hour are what Let's Encrypt allows for one name.
// Renewals, for which there are weeks, are certmagic's to repeat.
const (
	firstPause = time.Minute
	growth     = 3
	mostPause  = time.Hour
)

func (a *ACME) keep(ctx context.Context, name string) {
	for pause := firstPause; ; pause = min(growth*pause, mostPause) {
		err := a.see(ctx, name)
		if ctx.Err() != nil {
			return
		}
		var later <-chan time.Time
		if err != nil && !a.failing(name) {
			a.fail(name, err) // before the server was asked
		}
		if err != nil && a.newest(name) == nil {
			later = time.After(pause)
		}
		select {
		case <-ctx.Done():
			return
		case <-later:
		case <-a.again[name]:
			pause = firstPause / growth
		}
	}
}

// see loads the certificate for a name, gets one where there is none, and renews one whose time has come.
func (a *ACME) see(ctx context.Context, name string) error {
	if a.newest(name) == nil {
		if _, err := a.config.CacheManagedCertificate(ctx, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	old := a.newest(name)
	if old != nil && !old.NeedsRenewal(a.config) {
		return nil
	}
	if err := a.config.RenewCertSync(ctx, name, false); err != nil { // which gets what is not there
		return err
	}
	fresh, err := a.config.CacheManagedCertificate(ctx, name) // what the folder has now
	if err == nil && old != nil && fresh.Hash() != old.Hash() {
		a.cache.Remove([]string{old.Hash()}) // or it would go on being shown
	}
	return err
}

// newest is the certificate for a name that is valid for longest; nil where there is none.
func (a *ACME) newest(name string) (found *certmagic.Certificate) {
	for _, one := range a.cache.AllMatchingCertificates(name) {
		if found == nil || one.Leaf.NotAfter.After(found.Leaf.NotAfter) {
			found = &one
		}
	}
	return found
}

// note is called with what becomes of an attempt, whoever made it.
func (a *ACME) note(_ context.Context, event string, data map[string]any) error {
	name, _ := data["identifier"].(string)
	switch event {
	case "cert_obtaining":
		a.log.Info("asking for a certificate", "name", name, "server", a.server)
	case "cert_obtained":
		a.log.Info("a certificate was issued", "name", name, "server", a.server)
	case "cert_failed":
		err, _ := data["error"].(error)
		a.fail(name, err)
	}
	return nil
}

// fail keeps why an attempt failed, and logs it.
func (a *ACME) fail(name string, err error) {
	what, remedy := explain(err, name, a.server)
	a.log.Error("no certificate was issued", "name", name, "server", a.server, "error", what, "remedy", remedy)
	now := failure{a.leaf(name), certificate.Problem{What: what, Remedy: remedy, Since: time.Now()}}
	a.mu.Lock()
	defer a.mu.Unlock()
	if before, again := a.failed[name]; again && before.shown == now.shown {
		now.what.Since = before.what.Since
	}
	a.failed[name] = now
}

// failing reports whether the last attempt for a name failed, and that is known.
func (a *ACME) failing(name string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	last, failed := a.failed[name]
	return failed && last.shown == a.leaf(name)
}

func (a *ACME) leaf(name string) *x509.Certificate {
	if found := a.newest(name); found != nil {
		return found.Leaf
	}
	return nil
}

// States are the certificates, one for each name.
func (a *ACME) States() (all []certificate.State) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, name := range a.names {
		s := certificate.State{Name: name, Itself: true}
		if found := a.newest(name); found != nil {
			s.Leaf, s.Chain = found.Leaf, len(found.Certificate.Certificate)
		}
		if last, failed := a.failed[name]; failed && last.shown == s.Leaf {
			s.Wrong = &last.what
		}
		all = append(all, s)
	}
	return all
}
