package stream

import (
	"bytes"
	"cmp"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/nats-io/nats.go"
)

// proof is how a connection proves who it is; nil where it need not.
func (o Options) proof() (nats.Option, error) {
	if o.Auth != nil {
		return o.Auth, nil
	}
	if file := o.file(); file != "" {
		return credentials(file)
	}
	return nil, nil
}

// file is that of the credentials; empty where there is none.
func (o Options) file() string { return cmp.Or(o.Creds, Local(o.URL, o.User, "operator")) }

// credentials prove who connects, with a file of either kind: the seed of a key, or a JWT and a seed.
func credentials(file string) (nats.Option, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("NATS_CREDS: %w", err)
	}
	if bytes.Contains(text, []byte("NATS USER JWT")) {
		return nats.UserCredentials(file), nil
	}
	seed, err := nats.NkeyOptionFromSeed(file)
	if err != nil {
		return nil, fmt.Errorf("NATS_CREDS: %s holds neither the seed of a user's key nor a JWT: %w", file, err)
	}
	return seed, nil
}

// renewal gives a connection the credentials that the file holds when it connects again: those of a team that was added
// anew, or of a gateway that asks for some since it is of a later version. The client itself would keep the first.
type renewal struct {
	Options
	first string // the file it began with
	conn  atomic.Pointer[nats.Conn]
}

// now reads them. The client calls it where it dials, with the lock of its options held.
func (r *renewal) now() {
	nc := r.conn.Load()
	if nc == nil || r.Auth != nil {
		return
	}
	if file := r.source(); file != "" {
		if proof, err := credentials(file); err == nil { // one that is being replaced is read again
			_ = proof(&nc.Opts)
		}
	}
}

func (r *renewal) source() string { return cmp.Or(r.first, r.file()) }

// Local returns the credentials file that a gateway on this machine keeps in its data folder (SLUICE_DATA) for the first of
// the users that has one. It is empty where there is none, and where the address is another machine's or names a user.
func Local(address string, users ...string) string {
	u, err := url.Parse(address)
	if err != nil || u.User != nil || !isThisMachine(u.Hostname()) {
		return ""
	}
	for _, user := range users {
		file := filepath.Join(cmp.Or(os.Getenv("SLUICE_DATA"), "./data"), "nats", "users", user+".nk")
		if _, err := os.Stat(file); err == nil {
			return file
		}
	}
	return ""
}

func isThisMachine(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}
