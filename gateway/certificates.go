package main

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/sluicehq/sluice/gateway/certificate"
	"github.com/sluicehq/sluice/gateway/certificate/acme"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

// certificates are what the listener for webhooks shows; without any it takes plain HTTP.
type certificates struct {
	config *tls.Config // nil: plain HTTP
	from   keeper
	log    *slog.Logger

	challenges *acme.Server // on plain; nil where there is none
	plain      net.Listener
}

// keeper has the certificates, and sees to it that they are replaced in time.
type keeper interface {
	States() []certificate.State
	Watch(context.Context)
	Reload()
}

// openCertificates reads the certificate of SLUICE_TLS_CERT, or prepares to get those of SLUICE_TLS_ACME.
func openCertificates(s *Settings, webhooks net.Listener, log *slog.Logger) (*certificates, error) {
	switch {
	case s.TLSACME != "":
		return openACME(s, webhooks, log)
	case s.TLSCert == "":
		return &certificates{}, nil
	}
	files, err := certificate.OpenFiles(s.TLSCert, s.TLSKey, log)
	if err != nil {
		return nil, err
	}
	return &certificates{config: certificate.Config(files.Get), from: files, log: log}, nil
}

// checkTLS reads the certificate too, so that --check says what is wrong with it.
func (s *Settings) checkTLS() error {
	switch {
	case s.TLSACME != "" && s.TLSCert+s.TLSKey != "":
		return errors.New("SLUICE_TLS_ACME and SLUICE_TLS_CERT are both set: unset one of them")
	case s.TLSACME != "":
		return s.checkACME()
	case s.TLSCert == "" && s.TLSKey == "":
		return nil
	case s.TLSKey == "":
		return errors.New("SLUICE_TLS_CERT is set without SLUICE_TLS_KEY: set both, or unset both for plain HTTP behind a proxy")
	case s.TLSCert == "":
		return errors.New("SLUICE_TLS_KEY is set without SLUICE_TLS_CERT: set both, or unset both for plain HTTP behind a proxy")
	}
	_, err := certificate.OpenFiles(s.TLSCert, s.TLSKey, slog.New(slog.DiscardHandler))
	return err
}

func (c *certificates) scheme() string {
	if c.config == nil {
		return ""
	}
	return "https://"
}

// reload reads what SIGHUP says may have changed.
func (c *certificates) reload() {
	if c.from != nil {
		c.from.Reload()
	}
}

// keep sees to the certificates, and tells how they are, until ctx ends. What it returns waits for that.
func (c *certificates) keep(ctx context.Context, admin *telemetry.Admin) (wait func()) {
	if c.from == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	admin.Watch("certificate", c.health)
	admin.Registry().MustRegister(certificate.Expiry{States: c.from.States})
	var working sync.WaitGroup
	working.Go(func() { c.from.Watch(ctx) })
	working.Go(func() { c.sayChanges(ctx) })
	if c.challenges != nil {
		working.Go(func() { c.challenges.Serve(c.plain) })
	}
	return func() {
		cancel()
		if c.challenges != nil {
			_ = c.challenges.Close()
		}
		working.Wait()
	}
}

func (c *certificates) health() telemetry.Health {
	return certificate.Health(c.from.States(), time.Now())
}

// How often it is looked at how the certificates are, how long something has to be wrong before it is said, because a first
// certificate is issued within a few seconds, and how soon it is said again.
const (
	sayEvery = time.Second
	sayAfter = 5 * time.Second
	sayAgain = 24 * time.Hour
)

// sayChanges logs what begins and ceases to be wrong, and while it lasts once a day: nobody may look at /readyz before a
// certificate expires. The remedy tells one thing that is wrong from another.
func (c *certificates) sayChanges(ctx context.Context) {
	said, at, since := "", time.Now(), time.Now()
	for tick := time.NewTicker(sayEvery); ; {
		switch now := c.health(); {
		case now.Remedy == said && (said == "" || time.Since(at) < sayAgain):
			since = time.Now()
		case time.Since(since) < sayAfter:
		case now.Status == telemetry.OK:
			said = ""
			c.log.Info("the certificate is right again", "certificate", now.Detail)
		default:
			said, at = now.Remedy, time.Now()
			c.log.Error("something is wrong with the certificate", "certificate", now.Detail, "remedy", now.Remedy)
		}
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
	}
}
