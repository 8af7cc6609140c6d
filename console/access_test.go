package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

const (
	token     = "0123456789abcdef-operators"
	readToken = "0123456789abcdef-readers"
)

// Where others could reach it, it asks who they are, or does not start.
func TestTheConsoleStartsOnlyWhereItAsks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		s     Settings
		wrong string
	}{
		{"loopback", Settings{Listen: "127.0.0.1:3002"}, ""},
		{"loopback 6", Settings{Listen: "[::1]:3002"}, ""},
		{"everywhere", Settings{Listen: ":3002"}, "set SLUICE_CONSOLE_TOKEN"},
		{"an address", Settings{Listen: "10.0.0.5:3002"}, "set SLUICE_CONSOLE_TOKEN"},
		{"a name", Settings{Listen: "console.example.com:3002"}, "set SLUICE_CONSOLE_TOKEN"},
		{"with a token", Settings{Listen: ":3002", Token: token}, ""},
		{"with two", Settings{Listen: ":3002", Token: token, ReadToken: readToken}, ""},
		{"with a short one", Settings{Listen: ":3002", Token: "secret"}, "at least 16"},
		{"with the same", Settings{Listen: ":3002", Token: token, ReadToken: token}, "readers would be operators"},
		{"readers alone", Settings{Listen: "127.0.0.1:3002", ReadToken: readToken}, "without SLUICE_CONSOLE_TOKEN"},
		{"behind a proxy", Settings{Listen: ":3002", UserHeader: "X-Forwarded-User", Proxies: "10.0.0.0/8, ::1"}, ""},
		{"both", Settings{Listen: ":3002", UserHeader: "X-Forwarded-User", Token: token}, "unset one of them"},
		{"no network", Settings{Listen: ":3002", UserHeader: "X-Forwarded-User", Proxies: "proxy.example.com"}, "neither an address nor a network"},
		{"operators without users", Settings{Listen: "127.0.0.1:3002", Operators: "anna"}, "without SLUICE_CONSOLE_USER_HEADER"},
	} {
		c.s.NATSURL = "nats://127.0.0.1:4222"
		err := c.s.Check()
		if (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%s: %v, want %q", c.name, err, c.wrong)
		}
		if err != nil && strings.Contains(err.Error(), token) {
			t.Errorf("%s shows the token: %v", c.name, err)
		}
	}
}

var wildcard = regexp.MustCompile(`\{[a-z]+(\.\.\.)?\}`)

// everywhere are the paths of all pages and actions, of the team pbx and of the first of everything else.
func (g *stage) everywhere() (pages, actions []string) {
	one := func(path string) string {
		return wildcard.ReplaceAllStringFunc(path, func(name string) string {
			if name == "{team}" {
				return "pbx"
			}
			return "1"
		})
	}
	for _, p := range g.s.pages {
		pages = append(pages, one(p.Path()))
	}
	for _, a := range g.s.actions {
		actions = append(actions, one(a.path))
	}
	return pages, actions
}

func TestNobodyComesInWithoutATokenAndReadersChangeNothing(t *testing.T) {
	t.Parallel()
	g := newStage(t, Settings{Token: token, ReadToken: readToken})
	g.team("pbx", "pbx.>")
	pages, actions := g.everywhere()
	for _, forged := range []string{"", cookieName + "=eyJOYW1lIjoiYSIsIk9wZXJhdG9yIjp0cnVlfQ.AAAA", cookieName + "=.", cookieName + "=" + token} {
		stranger := g.visitor("Cookie", forged)
		for _, path := range append(append([]string{"/nothing"}, pages...), actions...) {
			if status, header, _ := stranger.ask(http.MethodGet, path, nil); status != http.StatusSeeOther || !strings.HasPrefix(header.Get("Location"), "/login") {
				t.Errorf("GET %s with %q: %d", path, forged, status)
			}
			if status, _, _ := stranger.ask(http.MethodPost, path, nil); status != http.StatusUnauthorized {
				t.Errorf("POST %s with %q: %d", path, forged, status)
			}
		}
	}
	reader := g.visitor()
	if status, header, _ := reader.ask(http.MethodPost, "/login", url.Values{"token": {readToken}, "name": {"r"}, "to": {"/teams"}}); status != http.StatusSeeOther || header.Get("Location") != "/teams" {
		t.Fatalf("a reader's login: %d to %s", status, header.Get("Location"))
	}
	for _, path := range pages {
		if status, _, body := reader.ask(http.MethodGet, path, nil); status == http.StatusForbidden || status == http.StatusSeeOther || strings.Contains(body, `class="danger"`) {
			t.Errorf("a reader's GET %s: %d", path, status)
		}
	}
	for _, path := range actions {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			if status, _, _ := reader.ask(method, path, nil); status != http.StatusForbidden {
				t.Errorf("a reader's %s %s: %d", method, path, status)
			}
		}
	}
	if g.paused("pbx") {
		t.Error("somebody without a right to has paused a team")
	}
}

func TestALoginIsBoundedAndEnds(t *testing.T) {
	t.Parallel()
	g := newStage(t, Settings{Token: token})
	v := g.visitor()
	if status, header, _ := v.ask(http.MethodPost, "/login", url.Values{"token": {token}, "to": {"//evil.example"}}); status != http.StatusSeeOther || header.Get("Location") != "/" {
		t.Errorf("a login leads to %q", header.Get("Location"))
	}
	_, header, _ := v.ask(http.MethodPost, "/login", url.Values{"token": {token}})
	if cookie := header.Get("Set-Cookie"); !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Lax") || strings.Contains(cookie, "Secure") {
		t.Errorf("the cookie is %s", cookie)
	}
	if status, _, _ := v.ask(http.MethodGet, "/teams", nil); status != http.StatusOK {
		t.Errorf("who is logged in: %d", status)
	}
	copied, err := http.ParseSetCookie(header.Get("Set-Cookie"))
	if err != nil {
		t.Fatal(err)
	}
	v.ask(http.MethodPost, "/logout", nil)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/teams", nil)
	if r.AddCookie(copied); isIn(g.s.sessions, r) {
		t.Error("a copy of the cookie outlives the logout")
	}
	v.ask(http.MethodPost, "/login", url.Values{"token": {token}})
	g.s.sessions.now = func() time.Time { return time.Now().Add(sessionFor + time.Second) }
	if status, _, _ := v.ask(http.MethodGet, "/teams", nil); status != http.StatusSeeOther {
		t.Errorf("after %s: %d", sessionFor, status)
	}
	guesser := g.visitor()
	for range guessesEach {
		if status, _, body := guesser.ask(http.MethodPost, "/login", url.Values{"token": {"a guess of a token"}}); status != http.StatusUnauthorized || strings.Contains(body, token) {
			t.Errorf("a wrong token: %d", status)
		}
	}
	if status, header, _ := guesser.ask(http.MethodPost, "/login", url.Values{"token": {token}}); status != http.StatusTooManyRequests || header.Get("Retry-After") == "" {
		t.Errorf("one guess too many: %d", status)
	}
}

func isIn(s sessions, r *http.Request) bool {
	_, in := s.read(r)
	return in
}

// Guesses that are sent at the same time, the last byte of each held back until all have come, are bounded as any others.
func TestGuessesAtTheSameTimeAreBounded(t *testing.T) {
	t.Parallel()
	g := newStage(t, Settings{Token: token})
	const form = "token=a+guess+of+a+token"
	var guessers []net.Conn
	for range 4 * guessesEach {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(g.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n%s", len(form), form[1:])
		guessers = append(guessers, c)
	}
	answers := map[int]int{}
	for _, c := range guessers { // each is in the handler: it has asked for the form
		_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
		if _, err := io.ReadFull(c, make([]byte, len("HTTP/1.1 100 Continue\r\n\r\n"))); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range guessers {
		fmt.Fprint(c, form[:1])
	}
	for _, c := range guessers {
		answer, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		answers[answer.StatusCode]++
	}
	if answers[http.StatusUnauthorized] > guessesEach || answers[http.StatusTooManyRequests] == 0 {
		t.Errorf("%v, want %d guesses at most", answers, guessesEach)
	}
}

// Whoever reaches the console may send a body with anything, and fills neither its memory nor its disk with it.
func TestABodyIsBoundedOnEveryPage(t *testing.T) {
	t.Parallel()
	g := newStage(t, Settings{Token: token})
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		sent := &endless{}
		body := io.MultiReader(strings.NewReader("--x\r\nContent-Disposition: form-data; name=to; filename=to\r\n\r\n"), io.LimitReader(sent, 64<<20))
		request := httptest.NewRequestWithContext(t.Context(), method, "/login", body)
		request.Header.Set("Content-Type", "multipart/form-data; boundary=x")
		request.Host = "localhost"
		g.web.Config.Handler.ServeHTTP(httptest.NewRecorder(), request)
		if sent.bytes > 2*mostForm {
			t.Errorf("%s: %d bytes were read", method, sent.bytes)
		}
	}
}

// endless are bytes without an end, counted.
type endless struct{ bytes int }

func (c *endless) Read(p []byte) (int, error) { c.bytes += len(p); return len(p), nil }

// The right token ends up in no session of another one.
func TestAnotherTokenEndsAllSessions(t *testing.T) {
	t.Parallel()
	g := newStage(t, Settings{Token: token})
	v := g.visitor()
	v.ask(http.MethodPost, "/login", url.Values{"token": {token}})
	g.s.sessions = newSessions(&Settings{Token: token + "2"})
	if status, _, _ := v.ask(http.MethodGet, "/", nil); status != http.StatusSeeOther {
		t.Errorf("%d", status)
	}
}

func TestOnlyATrustedProxyNamesTheUser(t *testing.T) {
	t.Parallel()
	const header = "X-Forwarded-User"
	g := newStage(t, Settings{UserHeader: header, Proxies: "127.0.0.1", Operators: "anna, ben"})
	g.team("pbx", "pbx.>")
	for _, c := range []struct {
		header []string
		page   int
		action int
	}{
		{nil, http.StatusForbidden, http.StatusForbidden},
		{[]string{header, ""}, http.StatusForbidden, http.StatusForbidden},
		{[]string{header, "anna", header, "carl"}, http.StatusForbidden, http.StatusForbidden},
		{[]string{header, "carl"}, http.StatusOK, http.StatusForbidden},
		{[]string{header, "anna"}, http.StatusOK, http.StatusOK},
	} {
		v := g.visitor(c.header...)
		page, _, _ := v.ask(http.MethodGet, "/teams", nil)
		action, _, _ := v.ask(http.MethodGet, "/teams/pbx/pause", nil)
		if page != c.page || action != c.action {
			t.Errorf("%q: page %d, action %d", c.header, page, action)
		}
	}
	g.s.settings.proxies, _ = networks("10.0.0.0/8")
	if status, _, _ := g.visitor(header, "anna").ask(http.MethodGet, "/teams", nil); status != http.StatusForbidden {
		t.Errorf("from another address: %d", status)
	}
}

// A page of another site, open in the same browser, may neither do nor read anything.
func TestAPageOfAnotherSiteDoesNothing(t *testing.T) {
	t.Parallel()
	g := newStage(t, Settings{})
	g.team("pbx", "pbx.>")
	_, actions := g.everywhere()
	for _, header := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"}} {
		for _, path := range append(actions, "/login", "/logout") {
			if status, _, _ := g.visitor(header...).ask(http.MethodPost, path, nil); status != http.StatusForbidden {
				t.Errorf("POST %s with %s: %d", path, header, status)
			}
		}
	}
	for _, path := range actions { // a link or an image asks, and does nothing
		g.visitor("Sec-Fetch-Site", "cross-site").ask(http.MethodGet, path, nil)
	}
	if g.paused("pbx") {
		t.Error("pbx is paused")
	}
	rebound := g.visitor()
	for _, host := range []string{"evil.example", "evil.example:3002", "127.0.0.1.evil.example", "localhost.evil.example", "sluice"} {
		rebound.host = host
		for _, path := range []string{"/", "/teams", "/static/console.js", "/healthz"} {
			if status, _, _ := rebound.ask(http.MethodGet, path, nil); status != http.StatusMisdirectedRequest {
				t.Errorf("GET %s of %s: %d", path, host, status)
			}
		}
	}
	rebound.host = "LOCALHOST:3002"
	if status, _, _ := rebound.ask(http.MethodGet, "/", nil); status != http.StatusOK {
		t.Errorf("localhost: %d", status)
	}
}

// Nothing that a browser is given may run anything but the console's own script.
func TestEveryAnswerKeepsBrowsersSafe(t *testing.T) {
	t.Parallel()
	g := newStage(t, Settings{Hosts: "sluice.example.com"})
	pages, _ := g.everywhere()
	v := g.visitor()
	v.host = "sluice.example.com"
	for _, path := range append(pages, "/nothing", "/static/console.js", "/login") {
		_, header, body := v.ask(http.MethodGet, path, nil)
		csp := header.Get("Content-Security-Policy")
		if csp != policy || strings.Contains(csp, "unsafe") || header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", path, header)
		}
		if regexp.MustCompile(`(?i)<[^>]* (style|on[a-z]+)=|<script>|<style`).MatchString(body) {
			t.Errorf("%s has a style or a script in it", path)
		}
	}
}
