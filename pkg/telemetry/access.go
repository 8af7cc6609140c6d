package telemetry

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"strings"

	"github.com/sluicehq/sluice/internal/socket"
)

// leastToken is what cannot be guessed within the life of a token.
const leastToken = 16

// CheckAdmin returns what is wrong with an admin address (SLUICE_ADMIN) and its token (SLUICE_ADMIN_TOKEN): an address
// that other machines reach needs one.
func CheckAdmin(address, token string) error {
	switch {
	case token != "" && len(token) < leastToken:
		return fmt.Errorf("SLUICE_ADMIN_TOKEN has %d characters, at least %d are needed: `openssl rand -hex 16` makes one", len(token), leastToken)
	case token == "" && !socket.IsLocal(address):
		return fmt.Errorf("SLUICE_ADMIN=%s can be reached from other machines: set SLUICE_ADMIN_TOKEN or SLUICE_ADMIN_TOKEN_FILE, or use 127.0.0.1 or unix:/path", address)
	}
	return nil
}

// bearer begins the Authorization of whoever has the token.
const bearer = "Bearer "

// caller says who asks: nobody knows the token where there is none.
type caller int

const (
	stranger caller = iota // says nothing of a token
	liar                   // has another one
	knows
)

func (a *Admin) caller(r *http.Request) caller {
	given := r.Header.Get("Authorization")
	switch {
	case given == "":
		return stranger
	case a.token != "" && same(given, bearer+a.token):
		return knows
	}
	return liar
}

// same compares in a time that tells nothing of where they differ, nor of their lengths.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// guard lets in who may ask for a path. Profiles are for those who know the token, always. Where there is one the rest
// is too, except for what probes ask, who have none: /healthz, and /readyz without its details.
func (a *Admin) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch who, profile := a.caller(r), strings.HasPrefix(r.URL.Path, "/debug/"); {
		case a.token == "" && profile:
			http.Error(w, "profiles need a token: set SLUICE_ADMIN_TOKEN and send it as Authorization: Bearer", http.StatusForbidden)
		case a.token == "", who == knows, r.URL.Path == "/healthz", r.URL.Path == "/readyz" && who == stranger:
			next.ServeHTTP(w, r)
		default:
			w.Header().Set("WWW-Authenticate", strings.TrimSpace(bearer))
			http.Error(w, "send SLUICE_ADMIN_TOKEN of this process as Authorization: Bearer", http.StatusUnauthorized)
		}
	})
}
