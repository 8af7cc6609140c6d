package rig

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Authority signs certificates for servers on loopback.
type Authority struct {
	t    testing.TB
	dir  string
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	by   *Authority // that signed this one; nil for a root
}

// NewAuthority makes one, whose own certificate is the file ca.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{t: t, dir: t.TempDir()}
	a.sign("ca", a, func(c *x509.Certificate) { c.IsCA = true })
	return a
}

// Intermediate makes an authority that this one signed, and which clients do not know.
func (a *Authority) Intermediate() *Authority {
	a.t.Helper()
	i := &Authority{t: a.t, dir: a.t.TempDir(), by: a}
	a.sign("ca", i, func(c *x509.Certificate) { c.IsCA = true })
	return i
}

// File is the path of a certificate, or with "-key" behind its name of its key.
func (a *Authority) File(name string) string { return filepath.Join(a.dir, name+".pem") }

// Issue writes a new certificate for localhost and 127.0.0.1, with its chain, and its key: each file is replaced at once.
// It is valid for an hour on both sides of now, unless change says something else.
func (a *Authority) Issue(name string, change ...func(*x509.Certificate)) {
	a.t.Helper()
	a.sign(name, nil, change...)
}

// sign makes a certificate; authority, where it is not nil, becomes the one with that certificate.
func (a *Authority) sign(name string, authority *Authority, change ...func(*x509.Certificate)) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	text := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "sluice test " + name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, c := range change {
		c(text)
	}
	signer, parent := a.key, a.cert
	if a.cert == nil {
		signer, parent = key, text
	}
	der, err := x509.CreateCertificate(rand.Reader, text, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	at := a
	if authority != nil {
		at, authority.key = authority, key
		authority.cert, _ = x509.ParseCertificate(der)
	}
	at.write(name, key, der)
}

// write writes key and certificate, the certificate with those of the authorities above it that are no root's.
func (a *Authority) write(name string, key *ecdsa.PrivateKey, der []byte) {
	a.t.Helper()
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for up := a; up.by != nil; up = up.by {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: up.cert.Raw})...)
	}
	Replace(a.t, a.File(name+"-key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	Replace(a.t, a.File(name), text)
}

// Replace writes a file in one step: nobody reads a part of it.
func Replace(t testing.TB, file string, text []byte) {
	t.Helper()
	if err := os.WriteFile(file+".new", text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

// Trust are the settings of a client that knows this authority alone.
func (a *Authority) Trust() *tls.Config {
	all := x509.NewCertPool()
	all.AddCert(a.cert)
	return &tls.Config{RootCAs: all}
}

// Client is an HTTP client that knows this authority alone. With fresh it opens a connection for each request.
func (a *Authority) Client(fresh bool) *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: a.Trust(), DisableKeepAlives: fresh, MaxIdleConnsPerHost: 64}, Timeout: 30 * time.Second}
}
