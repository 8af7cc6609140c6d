package main

import (
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
)

func (s *server) loginRoutes() {
	s.mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) { s.askToken(w, r, http.StatusOK, "") })
	s.mux.HandleFunc("POST /login", s.takeToken)
	s.mux.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) {
		s.sessions.end(w, r)
		http.Redirect(w, r, "/login", http.StatusSeeOther)
	})
}

// askToken shows the login page.
func (s *server) askToken(w http.ResponseWriter, r *http.Request, status int, wrong string) {
	if s.settings.Token == "" {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	s.render(w, status, "login", view{Title: "Log in", Data: map[string]string{"To": r.FormValue("to"), "Name": r.PostFormValue("name"), "Wrong": wrong}})
}

// takeToken logs in who has one of the tokens. An attempt is counted when the form is there: those that come at the same time
// are as many as any others.
func (s *server) takeToken(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	token := r.PostFormValue("token")
	if wait := s.guesses.take(peer(r), time.Now()); wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(wait.Seconds())+1))
		s.askToken(w, r, http.StatusTooManyRequests, "Too many attempts. Wait a minute, then try again.")
		return
	}
	operator, known := s.roleOf(token)
	if !known {
		s.log.Warn("a login with a wrong token", "peer", peer(r))
		s.askToken(w, r, http.StatusUnauthorized, "This token is not known. It stands in SLUICE_CONSOLE_TOKEN where the console was started.")
		return
	}
	s.guesses.right(peer(r))
	name := event.OneLine(cmp.Or(strings.TrimSpace(r.PostFormValue("name")), "unnamed"), longestName) + "@" + peer(r)
	s.log.Info("logged in", "name", name, "operator", operator)
	s.sessions.start(w, r, login{Name: name, Operator: operator})
	http.Redirect(w, r, local(r.PostFormValue("to")), http.StatusSeeOther)
}

func (s *server) roleOf(token string) (operator, known bool) {
	switch {
	case s.settings.Token == "":
		return false, false
	case same(token, s.settings.Token):
		return true, true
	}
	return false, s.settings.ReadToken != "" && same(token, s.settings.ReadToken)
}

// same compares in a time that tells nothing of where they differ, nor of their lengths.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// local is a page of the console's own: a login leads nowhere else.
func local(page string) string {
	u, err := url.Parse(page)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(page, "/") || strings.HasPrefix(page, "//") || strings.ContainsAny(page, "\\\r\n\t") {
		return "/"
	}
	return page
}

// guesses bounds wrong tokens, of each address and of all: a token of sixteen characters outlives that.
type guesses struct {
	mu   sync.Mutex
	of   map[string]int // within this minute
	all  int
	from time.Time
}

const (
	guessesEach = 5
	guessesAll  = 100
	guessesFor  = time.Minute
)

// take counts an attempt, or says how long nobody at an address may try again.
func (g *guesses) take(address string, now time.Time) (wait time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if end := g.from.Add(guessesFor); !now.Before(end) {
		g.of, g.all, g.from = map[string]int{}, 0, now
	} else if g.of[address] >= guessesEach || g.all >= guessesAll {
		return end.Sub(now)
	}
	g.of[address]++
	g.all++
	return 0
}

// right gives an attempt back: it was no guess.
func (g *guesses) right(address string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.of[address] > 0 { // or a minute has begun since
		g.of[address]--
		g.all--
	}
}
