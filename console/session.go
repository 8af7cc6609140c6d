package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"
)

// sessions are logins, each in a cookie of its browser: signed with a key made of the tokens, so that a restart keeps
// them, and another token ends them. Those that were logged out are remembered until they would have ended, or a restart.
type sessions struct {
	key   []byte
	now   func() time.Time
	ended *sync.Map // from what a cookie says to when it ends by itself; only who was logged in adds one
}

const (
	cookieName = "sluice_console"
	sessionFor = 12 * time.Hour
)

func newSessions(s *Settings) sessions {
	key := hmac.New(sha256.New, []byte(s.Token))
	key.Write([]byte("console session\x00" + s.ReadToken))
	return sessions{key.Sum(nil), time.Now, &sync.Map{}}
}

// login is what a cookie says.
type login struct {
	Name     string
	Operator bool
	Until    time.Time
}

// start gives a browser a session.
func (s sessions) start(w http.ResponseWriter, r *http.Request, l login) {
	l.Until = s.now().Add(sessionFor)
	text, _ := json.Marshal(l) // it has nothing that JSON cannot hold
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: encode(text) + "." + encode(s.sign(text)), Path: "/", Expires: l.Until,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: isSecure(r)})
}

// end takes it away. Whoever has a copy of the cookie is logged out too.
func (s sessions) end(w http.ResponseWriter, r *http.Request) {
	if l, text, in := s.login(r); in {
		s.ended.Store(text, l.Until)
	}
	s.ended.Range(func(text, until any) bool {
		if !s.now().Before(until.(time.Time)) {
			s.ended.Delete(text)
		}
		return true
	})
	http.SetCookie(w, &http.Cookie{Name: cookieName, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: isSecure(r)})
}

// isSecure reports whether the browser sees https. A proxy that lies about it only harms who comes through it.
func isSecure(r *http.Request) bool {
	return r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https"
}

// read is who a request's cookie says it is.
func (s sessions) read(r *http.Request) (someone who, in bool) {
	l, _, in := s.login(r)
	if !in {
		return who{}, false
	}
	return who{Name: l.Name, Operator: l.Operator, MayLeave: true}, true
}

// login is what the cookie says, and its text; in reports whether that holds.
func (s sessions) login(r *http.Request) (l login, text string, in bool) {
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return login{}, "", false
	}
	said, signed, _ := strings.Cut(cookie.Value, ".")
	bytes, err := base64.RawURLEncoding.DecodeString(said)
	if err != nil || !hmac.Equal([]byte(signed), []byte(encode(s.sign(bytes)))) {
		return login{}, "", false
	}
	if _, ended := s.ended.Load(string(bytes)); ended || json.Unmarshal(bytes, &l) != nil || !s.now().Before(l.Until) {
		return login{}, "", false
	}
	return l, string(bytes), true
}

func (s sessions) sign(text []byte) []byte {
	mac := hmac.New(sha256.New, s.key)
	mac.Write(text)
	return mac.Sum(nil)
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
