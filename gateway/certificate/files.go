package certificate

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"
)

// Files shows the certificate of two files, and reads them again when they change. It is safe for concurrent use.
type Files struct {
	cert, key string
	log       *slog.Logger

	mu    sync.RWMutex
	shown *tls.Certificate
	from  pair     // what shown was made of
	last  pair     // what was read last
	wrong *Problem // with that
}

// pair is what the two files hold.
type pair struct{ cert, key []byte }

func (p pair) is(other pair) bool {
	return bytes.Equal(p.cert, other.cert) && bytes.Equal(p.key, other.key)
}

// readEvery is how often the files are looked at: two reads of a few KiB, which see whatever way a file was replaced in.
const readEvery = time.Second

// OpenFiles reads a certificate, with its chain, and its key, both PEM. The error is one line, with what to do.
func OpenFiles(cert, key string, log *slog.Logger) (*Files, error) {
	f := &Files{cert: cert, key: key, log: log}
	now, err := f.read()
	if err == nil {
		f.shown, err = now.parse()
	}
	if err != nil {
		return nil, f.explain(err)
	}
	f.from, f.last = now, now
	return f, nil
}

func (f *Files) read() (p pair, err error) {
	if p.cert, err = os.ReadFile(f.cert); err != nil {
		return p, err
	}
	p.key, err = os.ReadFile(f.key)
	return p, err
}

func (p pair) parse() (*tls.Certificate, error) {
	one, err := tls.X509KeyPair(p.cert, p.key)
	if err != nil {
		return nil, err
	}
	return &one, nil
}

// explain names the files, and what to do about what is wrong with them.
func (f *Files) explain(err error) error {
	remedy := "write a certificate with its chain and its unencrypted key, both PEM, as certbot's fullchain.pem and privkey.pem"
	text := strings.TrimPrefix(err.Error(), "tls: ")
	switch {
	case errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission):
		remedy = "name files that this user may read"
	case strings.Contains(text, "does not match"):
		remedy = "write the key that this certificate was issued for"
	}
	return fmt.Errorf("SLUICE_TLS_CERT=%s, SLUICE_TLS_KEY=%s: %s: %s", f.cert, f.key, text, remedy)
}

// Watch reads the files again when they change, until ctx ends.
func (f *Files) Watch(ctx context.Context) {
	tick := time.NewTicker(readEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			f.look(false)
		}
	}
}

// Reload reads the files now.
func (f *Files) Reload() { f.look(true) }

// look takes what the files hold if it is right. What is wrong may be half written: it is said when it has stayed so, or at once.
func (f *Files) look(atOnce bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now, err := f.read()
	if err == nil && now.is(f.from) {
		f.last, f.wrong = now, nil
		return
	}
	var fresh *tls.Certificate
	if err == nil {
		fresh, err = now.parse()
	}
	stayed := now.is(f.last)
	f.last = now
	switch {
	case err == nil:
		f.shown, f.from, f.wrong = fresh, now, nil
		f.log.Info("the certificate was replaced", "name", nameOf(fresh.Leaf), "valid_until", fresh.Leaf.NotAfter.UTC().Format(time.RFC3339))
	case (stayed || atOnce) && (f.wrong == nil || atOnce):
		f.wrong = &Problem{What: f.explain(err).Error(), Remedy: "correct the files: the certificate of before is shown until then, and a restart would fail", Since: time.Now()}
		f.log.Error("keeping the certificate as it was", "error", f.wrong.What, "remedy", f.wrong.Remedy)
	}
}

// Get is for [tls.Config]: every client is shown the one certificate.
func (f *Files) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.shown, nil
}

// States is the certificate that is shown.
func (f *Files) States() []State {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return []State{{Name: nameOf(f.shown.Leaf), Leaf: f.shown.Leaf, Chain: len(f.shown.Certificate), Wrong: f.wrong}}
}
