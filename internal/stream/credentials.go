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

	"github.com/nats-io/nats.go"
)

// proof is how a connection proves who it is; nil where it need not.
func (o Options) proof() (nats.Option, error) {
	if o.Auth != nil {
		return o.Auth, nil
	}
	if file := cmp.Or(o.Creds, Local(o.URL, o.User, "operator")); file != "" {
		return credentials(file)
	}
	return nil, nil
}

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
