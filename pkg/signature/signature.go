// Package signature makes and checks webhook signatures: "sha256=" and the lowercase hex digits of the
// HMAC-SHA256 of the raw body.
package signature

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strings"
	"sync"
)

const scheme = "sha256="

// hexLen is the length of the digits behind the scheme.
const hexLen = 2 * sha256.Size

// MinSecret is the shortest secret that is taken, in bytes; a shorter one is a slip of the paste, not a key.
const MinSecret = 8

// Sign returns the signature of body under secret, as it stands in the header.
func Sign(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return scheme + hex.EncodeToString(mac.Sum(nil))
}

// Hex returns the digits of a signature header that [Keys.Verify] has accepted.
func Hex(header string) string { return strings.TrimPrefix(header, scheme) }

// Plausible reports whether a header has the form of a signature: the scheme, and as many digits behind it. It allocates
// nothing.
func Plausible(header []byte) bool {
	return len(header) == len(scheme)+hexLen && string(header[:len(scheme)]) == scheme
}

// Keys checks signatures against every current secret; there are several while one is being rotated.
// It is safe for concurrent use and does not change: rotating means making new Keys.
type Keys struct{ keys []*key }

// key is one secret: a pool of hash states that were keyed once.
type key struct {
	id     string
	states sync.Pool
}

type state struct {
	mac hash.Hash
	sum [sha256.Size]byte
	hex [hexLen]byte
}

// New makes Keys of one or more secrets. The order counts: [Keys.Verify] answers with an index into it.
func New(secrets ...string) (*Keys, error) {
	if len(secrets) == 0 {
		return nil, errors.New("no secret")
	}
	keys := &Keys{}
	for i, secret := range secrets {
		if len(secret) < MinSecret {
			return nil, fmt.Errorf("secret %d has %d characters, at least %d are needed", i+1, len(secret), MinSecret)
		}
		k := &key{id: ID(secret)}
		k.states.New = func() any { return &state{mac: hmac.New(sha256.New, []byte(secret))} }
		keys.keys = append(keys.keys, k)
	}
	return keys, nil
}

// Parse makes Keys of a comma-separated list, as it stands in a setting or a file. White space around a secret
// is not part of it.
func Parse(list string) (*Keys, error) {
	var secrets []string
	for secret := range strings.SplitSeq(list, ",") {
		secret = strings.TrimSpace(secret)
		if secret == "" {
			return nil, errors.New("a secret is empty")
		}
		secrets = append(secrets, secret)
	}
	return New(secrets...)
}

// idLen is how many digits name a secret: enough to tell a few apart, and nothing to guess one by that a captured
// signature would not give as well.
const idLen = 8

// ID names a secret where it must not be shown: the first 8 hex digits of its SHA-256.
func ID(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])[:idLen]
}

// IDs are the [ID]s of the secrets, in the order of [New].
func (k *Keys) IDs() (ids []string) {
	for _, one := range k.keys {
		ids = append(ids, one.id)
	}
	return ids
}

// Verify reports whether header signs body under one of the secrets, and which: its index in the order of [New].
// Every secret is tried and every comparison takes the same time wherever the difference is, so that an answer
// tells nothing about how close a guess was. It allocates nothing.
func (k *Keys) Verify(header, body []byte) (which int, ok bool) {
	if !Plausible(header) {
		return 0, false
	}
	given := header[len(scheme):]
	for i, key := range k.keys {
		if key.matches(given, body) && !ok {
			which, ok = i, true
		}
	}
	return which, ok
}

func (k *key) matches(given, body []byte) bool {
	s := k.states.Get().(*state)
	defer k.states.Put(s)
	s.mac.Reset()
	s.mac.Write(body)
	hex.Encode(s.hex[:], s.mac.Sum(s.sum[:0]))
	return subtle.ConstantTimeCompare(s.hex[:], given) == 1
}
