// Package secure is TLS to the servers that Sluice is a client of, NATS and Redis: private authorities, and certificates
// of its own. The files are read for each connection, so that renewed ones need no restart.
package secure

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
)

// NATS are the settings of TLS to NATS.
type NATS struct {
	CA   string `env:"NATS_CA" reads:"true" help:"certificates of the authorities that sign NATS's (PEM); read again for each connection; unset: those that this machine trusts"`
	Cert string `env:"NATS_CERT" reads:"true" help:"certificate to show to NATS, with its chain (PEM), for mutual TLS; read again for each connection"`
	Key  string `env:"NATS_KEY" reads:"true" help:"key of NATS_CERT (PEM, not encrypted)"`
}

// Files are the files that the settings name.
func (n NATS) Files() Files { return Files{Server: "NATS", CA: n.CA, Cert: n.Cert, Key: n.Key} }

// Check reads the files too, so that --check says what is wrong with them.
func (n *NATS) Check() error { return n.Files().check() }

// Redis are the settings of TLS to Redis.
type Redis struct {
	CA   string `env:"REDIS_CA" reads:"true" help:"certificates of the authorities that sign Redis's (PEM), for rediss://; read again for each connection; unset: those that this machine trusts"`
	Cert string `env:"REDIS_CERT" reads:"true" help:"certificate to show to Redis, with its chain (PEM), for mutual TLS; read again for each connection"`
	Key  string `env:"REDIS_KEY" reads:"true" help:"key of REDIS_CERT (PEM, not encrypted)"`
}

// Files are the files that the settings name.
func (r Redis) Files() Files { return Files{Server: "REDIS", CA: r.CA, Cert: r.Cert, Key: r.Key} }

// Check reads the files too, so that --check says what is wrong with them.
func (r *Redis) Check() error { return r.Files().check() }

// Files are what connections to one kind of server are secured with. Its zero value is what this machine trusts.
type Files struct {
	Server        string // NATS or REDIS, which begins the names of its settings
	CA, Cert, Key string // empty: none
}

// Any reports whether one of them is set: then nothing is to be sent without TLS.
func (f Files) Any() bool { return f.CA != "" || f.Cert != "" || f.Key != "" }

func (f Files) check() error {
	switch {
	case f.Cert != "" && f.Key == "":
		return fmt.Errorf("%s_CERT is set without %s_KEY: set both, or neither", f.Server, f.Server)
	case f.Cert == "" && f.Key != "":
		return fmt.Errorf("%s_KEY is set without %s_CERT: set both, or neither", f.Server, f.Server)
	}
	_, err := f.Config()
	return err
}

// Config reads the files. It is good for one connection, by TLS 1.2 at least.
func (f Files) Config() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	var err error
	if config.RootCAs, err = f.Authorities(); err != nil {
		return nil, err
	}
	if f.Cert != "" {
		shown, err := f.Certificate()
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{shown}
	}
	return config, nil
}

// Authorities are those that may sign the server's certificate; nil stands for those that this machine trusts.
func (f Files) Authorities() (*x509.CertPool, error) {
	if f.CA == "" {
		return nil, nil
	}
	text, err := os.ReadFile(f.CA)
	if err != nil {
		return nil, &Error{fmt.Errorf("%s_CA: %w", f.Server, err), "name a file that this user may read"}
	}
	all := x509.NewCertPool()
	if !all.AppendCertsFromPEM(text) {
		return nil, &Error{fmt.Errorf("%s_CA=%s holds no certificate", f.Server, f.CA), "name a file with the authority's certificate in PEM"}
	}
	return all, nil
}

// Certificate is what is shown to the server; the zero value where there is none.
func (f Files) Certificate() (shown tls.Certificate, err error) {
	if f.Cert == "" {
		return shown, nil
	}
	if shown, err = tls.LoadX509KeyPair(f.Cert, f.Key); err != nil {
		return shown, &Error{fmt.Errorf("%s_CERT=%s with %s_KEY=%s: %w", f.Server, f.Cert, f.Server, f.Key, err), "name a certificate and the key that belongs to it, both in PEM"}
	}
	return shown, nil
}

// Client is an HTTP client for one request to a server's monitoring port.
func (f Files) Client() (*http.Client, error) {
	config, err := f.Config()
	return &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}, err
}

// Error is what keeps a connection from being secured, and what to do about it.
type Error struct {
	Cause  error
	Remedy string
}

func (e *Error) Error() string { return e.Cause.Error() + ": " + e.Remedy }

func (e *Error) Unwrap() error { return e.Cause }

// Explain adds the remedy to the error of a connection, where TLS is the cause; any other error it returns as it is.
func (f Files) Explain(err error) error {
	var explained *Error
	if err == nil || errors.As(err, &explained) {
		return err
	}
	if remedy := f.remedy(err); remedy != "" {
		return &Error{err, remedy}
	}
	return err
}

func (f Files) named(what, file string) string {
	return f.Server + "_" + what + "=" + cmp.Or(file, "(not set)")
}
