package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sluicehq/sluice/internal/mask"
	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/signature"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// came stores an event as a gateway does, and returns it as a team's copies are made of it.
func (g *stage) came(name, delivery string, body []byte, more ...string) *event.Event {
	g.t.Helper()
	h := nats.Header(zorio.Headers(rig.Secret, name, delivery, time.Now(), body))
	h[event.HeaderID] = []string{event.IdentityOf(delivery, signature.Hex(h.Get(zorio.HeaderSignature)))}
	h[event.HeaderSource], h[event.HeaderReceived] = []string{"zorio"}, []string{time.Now().UTC().Format(time.RFC3339Nano)}
	for i := 0; i < len(more); i += 2 {
		h[more[i]] = []string{more[i+1]}
	}
	subject := event.Subject("zorio", name)
	sequence := g.publish(&nats.Msg{Subject: subject, Header: h, Data: body})
	e, err := event.Parse(subject, h, body)
	if err != nil {
		g.t.Fatal(err)
	}
	e.Sequence, e.Attempt = sequence, 1
	return e
}

// refused keeps a request that became no event, as a gateway does.
func (g *stage) refused(cause, answer, delivery string, body []byte, more ...string) uint64 {
	g.t.Helper()
	h := nats.Header(zorio.Headers("another secret", "pbx.call.hangup", delivery, time.Now(), body))
	h.Set(zorio.HeaderSignature, mask.Signature(h.Get(zorio.HeaderSignature)))
	for name, value := range map[string]string{event.HeaderSource: "zorio", event.HeaderReceived: time.Now().UTC().Format(time.RFC3339Nano), event.HeaderAnswer: answer,
		event.HeaderReason: "no secret made this signature", event.HeaderPeer: "192.0.2.1:50000", event.HeaderRequest: "POST /webhook HTTP/1.1", event.HeaderBody: "whole", event.HeaderTook: "1.5ms"} {
		h.Set(name, value)
	}
	for i := 0; i < len(more); i += 2 {
		h[more[i]] = []string{more[i+1]}
	}
	return g.publish(&nats.Msg{Subject: event.RefusedSubject("zorio", cause), Header: h, Data: body})
}

func (g *stage) publish(m *nats.Msg) uint64 {
	g.t.Helper()
	ack, err := g.js.PublishMsg(g.t.Context(), m)
	if err != nil {
		g.t.Fatal(err)
	}
	return ack.Sequence
}

// page is what a page says, and its status.
func (g *stage) page(path string) (status int, html string) {
	g.t.Helper()
	status, _, html = g.visitor().ask(http.MethodGet, path, nil)
	return status, html
}

// says fails the test unless a page has all of what is wanted, in this order.
func (g *stage) says(path string, want ...string) {
	g.t.Helper()
	status, html := g.page(path)
	rest := html
	for _, w := range want {
		_, after, found := strings.Cut(rest, w)
		if status != http.StatusOK || !found {
			g.t.Errorf("%s: %d, without %q in its place:\n%s", path, status, w, html[max(0, strings.Index(html, "<main")):])
			return
		}
		rest = after
	}
}

func TestRequestsAreLinesThatCanBeNarrowed(t *testing.T) {
	t.Parallel()
	g := newStage(t, Settings{})
	g.says("/requests", "No request has come yet")
	for n := range 60 {
		g.came("pbx.call.hangup", fmt.Sprint("id-", n), []byte("{}"))
	}
	g.came("telesales.lead.created", "lead", []byte("{}"))
	g.refused("invalid", "401 Invalid signature", "forged", []byte("{}"))
	g.refused("duplicate", "200 Duplicate", "id-59", []byte("{}"))

	g.says("/requests", "accepted <b>61</b>", "not accepted <b>2</b>", "duplicate <b>1</b>", "wrong signature <b>1</b>", "last 60 min <b>61</b>", "pbx.call.hangup (60)",
		"/refused/2", "duplicate", "/refused/1", "wrong signature", "192.0.2.1:50000", "/events/61", "/events/60", "Older")
	g.says("/requests?event=telesales.lead.created&answer=accepted", `href="/events/61"`, `sluicectl tail telesales.lead.created --since 1h`)
	g.says("/requests?answer=invalid", `href="/refused/1"`)
	g.says("/requests?delivery=id-59", `href="/refused/2"`, `href="/events/60"`)
	g.says("/requests?to=2020-01-01T00:00", "is all of this")
	g.says("/requests?last=15m", `href="/events/61"`)
	for _, path := range []string{"/requests?last=soon", "/requests?last=-1h", "/requests?answer=nonsense", "/requests?from=yesterday", "/requests?before=x", "/requests?before=1.x"} {
		if status, _ := g.page(path); status != http.StatusBadRequest {
			t.Errorf("%s: %d", path, status)
		}
	}
	_, html := g.page("/requests?event=pbx.call.hangup")
	_, older, _ := strings.Cut(html, `<a class="button" href="`)
	older, _, _ = strings.Cut(older, `"`)
	if !strings.Contains(older, "event=pbx.call.hangup") {
		t.Errorf("the next page is %q", older)
	}
	g.says(strings.ReplaceAll(older, "&amp;", "&"), `href="/events/10"`, `href="/events/1"`, "Newest")
}

// Everything that is known of a delivery is on its page, and nothing that could be used of its signature.
func TestOneDeliveryHasItsWholeLife(t *testing.T) {
	t.Parallel()
	g := newStage(t, Settings{Secret: "the one before, " + rig.Secret})
	g.team("pbx", "pbx.>")
	g.team("crm", "pbx.>")
	g.team("other", "telesales.>")
	g.came("pbx.call.ringing", "first", []byte("{}"))
	e := g.came("pbx.call.hangup", "the-call", []byte(`{"event":"pbx.call.hangup","data":{"call":{"uuid":"0d5c1f0e","legs":[1,2.50,true,null,"<b>"]}}}`))
	g.came("pbx.call.ringing", "last", []byte("{}"))
	g.refused("duplicate", "200 Duplicate", "the-call", e.Body)

	failed := e.Failed(time.Now().Add(-time.Minute), errors.New("no such table: calls\x1b[2J"))
	failed.Attempt = 2
	failed = failed.Failed(time.Now(), errors.New("database is locked"))
	letter := failed.Copy()
	letter[event.HeaderReason] = []string{event.ReasonExhausted}
	g.publish(&nats.Msg{Subject: event.DeadSubject("pbx", "zorio", e.Name), Header: letter, Data: e.Body})
	wait := e.Failed(time.Now(), errors.New("connection refused")).Copy()
	wait["Nats-Schedule"] = []string{"@at " + time.Now().Add(time.Hour).UTC().Format(time.RFC3339Nano)}
	wait["Nats-Schedule-Target"] = []string{event.RetrySubject("crm", "zorio", e.Name)}
	g.publish(&nats.Msg{Subject: event.WaitSubject("crm", "EVENTS.2.x"), Header: wait, Data: e.Body})

	digits := signature.Hex(signature.Sign(rig.Secret, e.Body))
	g.says("/events/2", `rel="prev" href="/events/1"`, `rel="next" href="/events/3"`, "/events/2?delivery=the-call", "the-call", "EVENTS #2", "the-call/"+digits[:16],
		">crm</a>", "failed, and will be retried", "connection refused", "RETRY #1", "tried again at",
		">pbx</a>", "dead-lettered", `no such table: calls\x1b[2J`, "database is locked", "DEAD #1, 2 failed attempts, exhausted",
		"are signed, sha256", "sha256="+digits[:8], "is made with secret 2 of 2", "one of its secrets made this signature",
		`<summary>{} 2 keys</summary>`, `&#34;0d5c1f0e&#34;`, `2.50`, `&lt;b&gt;`, "/events/2/body", "X-Zorio-Signature", digits[:16]+"****", `href="/refused/1"`, "duplicate", "sluicectl trace the-call")
	g.says("/events/2?delivery=the-call", "EVENTS #2")
	if _, html := g.page("/events/2"); strings.Contains(html, digits[:40]) || strings.Contains(html, rig.Secret) || strings.Contains(html, ">other</a>") {
		t.Error("a signature or a secret is shown whole, or a team that does not take the event")
	}
	g.says("/refused/1", "duplicate", "POST /webhook HTTP/1.1", "192.0.2.1:50000", "answered in 1.5 ms", "the-call", "sluicectl refused show 1", "sluicectl verify --refused 1")
	for path, want := range map[string]string{"/events/99": "It keeps #1 to #3", "/events/x": "is not a sequence", "/events/0": "", "/events/2?delivery=another": "created anew", "/refused/9": "REFUSED #9 is not there"} {
		if status, html := g.page(path); status != http.StatusNotFound || !strings.Contains(html, want) {
			t.Errorf("%s: %d %s", path, status, html)
		}
	}
}

// What strangers send is shown, and does nothing: no script, no escape of a terminal, no line that breaks the page.
func TestHostileRequestsAreHarmless(t *testing.T) {
	t.Parallel()
	g := newStage(t, Settings{})
	paths := g.hostile()
	for _, path := range paths {
		status, html := g.page(path)
		if status != http.StatusOK {
			t.Errorf("%s: %d", path, status)
		}
		if strings.Contains(html, "<script>owned") || strings.Contains(html, "<img src=x") || strings.ContainsAny(html, "\x1b\x07\x00\u202e") || len(html) > 2<<20 {
			t.Errorf("%s is not harmless: %d bytes", path, len(html))
		}
	}
	status, header, raw := g.visitor().ask(http.MethodGet, paths[0]+"/body", nil)
	if status != http.StatusOK || !strings.HasPrefix(header.Get("Content-Disposition"), "attachment; ") || header.Get("Content-Type") != "application/octet-stream" || header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("a download: %d %v, %d bytes", status, header, len(raw))
	}
}

// hostile stores what strangers may send at worst, and returns all pages that show it.
func (g *stage) hostile() (paths []string) {
	g.t.Helper()
	const attack = `"'><script>owned=1</script><img src=x onerror=owned=1>`
	script, _ := json.Marshal(map[string]any{"event": "pbx.call.hangup", attack: attack, "javascript:owned=1": []string{attack}})
	bodies := map[string][]byte{
		"script": script, "markup": []byte(attack + "</pre></main></body>"), "escapes": []byte("\x1b]0;owned\x07\x1b[2J\u202e\u2028"),
		"line": []byte(strings.Repeat("x", 1<<20-8) + "<script>"), "utf8": []byte("\xff\xfe\xed\xa0\x80<script>owned=1</script>"), "zero": {0, 1, 2},
		"deep": []byte(strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)), "many": []byte("[" + strings.Repeat("1,", 20_000) + "1]"), "empty": nil,
		"longstring": []byte(`{"a":"` + strings.Repeat("<", 200_000) + `"}`),
	}
	const id = `id"><script>owned=1</script>`
	for name, body := range bodies {
		e := g.came("pbx.call.hangup", name, body, "X-Zorio-"+"Extra", attack, zorio.HeaderEvent, attack)
		n := g.refused("invalid", "401 "+attack, id, body[:min(len(body), 64<<10)], zorio.HeaderEvent, attack, event.HeaderReason, attack, event.HeaderPeer, attack, event.HeaderRequest, "POST /"+attack+"\x1b[2J HTTP/1.1", event.HeaderBody, "whole")
		paths = append(paths, fmt.Sprint("/events/", e.Sequence), fmt.Sprint("/refused/", n))
	}
	paths = append(paths, "/requests", "/requests?delivery="+url.QueryEscape(id), "/requests?event="+url.QueryEscape(attack), "/search?q="+url.QueryEscape(attack), "/search?q="+url.QueryEscape(id), "/search?q=%1b%5b2J%ff")
	return paths
}

func TestSearchFindsWhatPeopleHave(t *testing.T) {
	t.Parallel()
	g := newStage(t, Settings{})
	g.says("/search", "a call's uuid")
	g.came("pbx.call.hangup", "5c3be9d2", []byte(`{"call_uuid":"0d5c1f0e-5a1f"}`))
	g.came("pbx.call.ringing", "7", []byte("{}"))
	g.refused("invalid", "401 Invalid signature", "5c3be9d2", []byte("{}"))
	g.says("/search?q=0d5c1f0e-5a1f", `href="/events/1"`, `call_uuid&#34;:&#34;<mark>0d5c1f0e-5a1f</mark>`, "EVENTS: the last 2 of 2", "which is all of it", "DEAD: nothing is there")
	g.says("/search?q=5c3be9d2", `value="5c3be9d2"`, `href="/events/1"`, `href="/refused/1"`)
	g.says("/search?q=nowhere", "as far as was searched")
	g.says("/search?q=nowhere&last=1", "the last 1 of 2", "Search what is older")
	g.says("/search?q=0d5c1f0e&last=1&before=2", `href="/events/1"`)
	for _, path := range []string{"/search?q=x&last=many", "/search?q=x&before=-1", "/search?q=" + strings.Repeat("x", 2000)} {
		if status, _ := g.page(path); status != http.StatusBadRequest {
			t.Errorf("%s: %d", path, status)
		}
	}
}

// Many browsers that have the same list open cost NATS no more than one.
func TestOpenPagesShareWhatTheyLookUp(t *testing.T) {
	t.Parallel()
	g := newStage(t, Settings{})
	g.s.every = time.Hour
	looked := 0
	page := g.s.shared(func(*http.Request) (any, error) { looked++; return looked, nil })
	for want, accept := range map[int]string{1: "text/event-stream", 10: "text/html"} {
		looked = 0
		for range 10 {
			r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "/requests?answer=stale", nil)
			r.Header.Set("Accept", accept)
			if _, err := page(r); err != nil {
				t.Fatal(err)
			}
		}
		if looked != want {
			t.Errorf("%s: looked up %d times", accept, looked)
		}
	}
}

// narrowed are lists and searches that might read much: far back, of what is rare, and of what there is none.
func narrowed(stored uint64) []string {
	return []string{fmt.Sprintf("/requests?before=%d.1", stored/2), "/requests?event=pbx.call.hangup", "/requests?event=fax.none", "/requests?answer=refused", "/requests?last=1h",
		"/requests?delivery=nobody", fmt.Sprint("/events/", stored/2), fmt.Sprint("/events/", stored), "/search?q=nowhere"}
}

// What is copied from a page and pasted into a shell runs nothing of a stranger's.
func TestCommandsAreQuoted(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]string{"5c3be9d2-0a63": "5c3be9d2-0a63", "a;b": "'a;b'", "$(x)": "'$(x)'", "it's": `'it'\''s'`, "-rf": "-- -rf", "-r f": "-- '-r f'", "": "''", "a\x1b\n": `'a\x1b` + "\n'"} {
		if got := quoted(word); got != want {
			t.Errorf("%q: %s, want %s", word, got, want)
		}
	}
}
