package main

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/user"
	"slices"
	"strings"

	"github.com/sluicehq/sluice/pkg/event"
)

// who is there: an operator, or a reader, who changes nothing.
type who struct {
	Name     string
	Operator bool
	MayLeave bool // there is something to log out from
}

// String is how the audit calls them.
func (w who) String() string { return w.Name }

const longestName = 64

type whoKey struct{}

// asker is who asks.
func asker(r *http.Request) who {
	w, _ := r.Context().Value(whoKey{}).(who)
	return w
}

// known finds out who asks, and lets nobody else in: they are asked for a token, or told to come through the proxy.
func (s *server) known(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		someone, in := s.identify(r)
		switch {
		case in:
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), whoKey{}, someone)))
		case open(r.URL.Path):
			next.ServeHTTP(w, r)
		case s.settings.UserHeader != "":
			http.Error(w, "The proxy in front of this console logs users in and names them in "+s.settings.UserHeader+": come through it. Its address stands in SLUICE_CONSOLE_PROXIES.", http.StatusForbidden)
		case r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html"):
			http.Redirect(w, r, "/login?to="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
		default:
			http.Error(w, "log in first: /login", http.StatusUnauthorized)
		}
	})
}

// open are the paths that need no login.
func open(path string) bool {
	return path == "/login" || path == "/healthz" || path == "/readyz" || strings.HasPrefix(path, "/static/")
}

// identify reports who asks, and whether they may come in.
func (s *server) identify(r *http.Request) (someone who, in bool) {
	switch {
	case s.settings.UserHeader != "":
		return s.named(r)
	case s.settings.Token != "":
		return s.sessions.read(r)
	}
	return who{Name: s.here, Operator: true}, true
}

// named is who a trusted proxy says it is.
func (s *server) named(r *http.Request) (someone who, in bool) {
	name := r.Header.Values(s.settings.UserHeader)
	if !s.isProxy(r) || len(name) != 1 || strings.TrimSpace(name[0]) == "" {
		return who{}, false
	}
	someone.Name = event.OneLine(strings.TrimSpace(name[0]), longestName)
	operators := list(s.settings.Operators)
	someone.Operator = slices.Contains(operators, strings.TrimSpace(name[0])) || slices.Contains(operators, "*")
	return someone, true
}

func (s *server) isProxy(r *http.Request) bool {
	peer, err := netip.ParseAddr(peer(r))
	return err == nil && slices.ContainsFunc(s.settings.proxies, func(p netip.Prefix) bool { return p.Contains(peer.Unmap()) })
}

// peer is the address of who is connected.
func peer(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// thisUser is who runs the console, as user@host: where nobody logs in, it is they who act.
func thisUser() string {
	name, host := "unknown", "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if h, err := os.Hostname(); err == nil {
		host = h
	}
	return cmp.Or(os.Getenv("SUDO_USER"), name) + "@" + host
}
