package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
)

// The keys lead through the list, which lives, and to one delivery, and the search box is everywhere.
func TestRequestsInABrowser(t *testing.T) {
	t.Parallel()
	needsReal(t)
	g := newStage(t, Settings{})
	for n := range 60 {
		g.came("pbx.call.hangup", fmt.Sprint("id-", n), []byte(`{"call_uuid":"0d5c1f0e"}`))
	}
	g.refused("duplicate", "200 Duplicate", "id-59", []byte("{}"))
	tab := g.newTab("/requests")
	tab.Waits(`document.querySelectorAll('#rows .row').length === 50`)
	g.refused("stale", "400 Stale timestamp", "late", []byte("{}"))
	tab.Waits(`document.querySelector('#rows .row').innerText.includes('stale')`)
	tab.Key("j")
	tab.Key("j")
	tab.Loads(func() { tab.Key("Enter") })
	tab.Waits(`location.pathname === '/refused/1'`)

	tab.Open(g.url + "/events/60")
	tab.Waits(`document.querySelectorAll('.fate').length === 0`)
	g.team("pbx", ">")
	tab.Waits(`document.querySelectorAll('.fate').length === 1`)
	tab.Loads(func() { tab.Click("a[rel=prev]") })
	tab.Waits(`location.pathname === '/events/59'`)

	tab.Key("/")
	tab.Type("input[type=search]", "0d5c1f0e")
	tab.Loads(func() { tab.Key("Enter") })
	tab.Waits(`document.querySelector('mark')?.innerText === '0d5c1f0e'`)
	if problems := tab.Problems(); len(problems) > 0 {
		t.Errorf("the browser complains: %s", problems)
	}
}

// A real gateway answers in every way that a sender can bring about, and each answer is a line that leads to what is known.
func TestEveryAnswerOfAGatewayIsSeen(t *testing.T) {
	t.Parallel()
	needsReal(t)
	g := newStack(t, Settings{Secret: rig.Secret}, "pbx")
	body := func(n int) []byte {
		return fmt.Appendf(nil, `{"event":"pbx.call.hangup","data":{"call_uuid":"call-%d"}}`, n)
	}
	now := time.Now()
	for _, c := range []struct {
		id, secret string
		at         time.Time
		body       []byte
		want       int
	}{
		{"first", rig.Secret, now, body(1), 200}, {"first", rig.Secret, now, body(1), 200}, // a duplicate
		{"forged", "another secret than the gateway's", now, body(2), 401}, {"stale", "another secret than the gateway's", now.Add(-time.Hour), body(2), 400},
		{"late", rig.Secret, now.Add(-time.Hour), body(3), 400}, {"unroutable", rig.Secret, now, []byte(`{"event":"not a subject"}`), 200},
		{"large", rig.Secret, now, make([]byte, 2<<20), 413},
	} {
		if got := g.send("pbx.call.hangup", c.id, c.secret, c.at, c.body); got != c.want {
			t.Fatalf("%s: %d, want %d", c.id, got, c.want)
		}
	}
	tab := g.newTab("/requests")
	for _, answer := range []string{"accepted", "duplicate", "wrong signature", "stale", "quarantined: late", "quarantined: unroutable", "too large"} {
		tab.Waits(fmt.Sprintf(`[...document.querySelectorAll('#rows .chip')].some((c) => c.innerText === %q)`, answer))
	}
	for path, want := range map[string]string{
		"/events/1": "is made with secret 1 of 1", "/requests?answer=duplicate": "first", "/requests?delivery=late": "quarantined: late", "/search?q=call-2": "REFUSED",
	} {
		tab.Open(g.url + path)
		tab.Waits(fmt.Sprintf(`document.body.innerText.includes(%q)`, want))
	}
	tab.Open(g.url + "/events/1")
	tab.Waits(`[...document.querySelectorAll('#others .chip')].some((c) => c.innerText === 'duplicate')`)
	tab.Waits(`document.querySelector('#teams').innerText.includes('pbx')`)
	tab.Loads(func() { tab.Click("#others .row a") })
	tab.Waits(`document.body.innerText.includes('this delivery is stored already')`)
	if problems := tab.Problems(); len(problems) > 0 {
		t.Errorf("the browser complains: %s", problems)
	}
}

// A browser runs nothing of what strangers send, and no page is wider than a telephone.
func TestHostileRequestsInABrowser(t *testing.T) {
	t.Parallel()
	needsReal(t)
	g := newStage(t, Settings{})
	paths := g.hostile()
	tab := g.newTab("/requests")
	tab.Resize(375, 800, false)
	for _, path := range paths {
		tab.Open(g.url + path)
		var owned bool
		var wide int
		tab.Script("'owned' in window || document.title === 'owned'", &owned)
		tab.Script("document.documentElement.scrollWidth - document.documentElement.clientWidth", &wide)
		if owned || wide > 0 {
			t.Errorf("%s: a stranger's script has run, or the page is %d px too wide", path, wide)
		}
	}
	if problems := tab.Problems(); len(problems) > 0 {
		t.Errorf("the browser complains: %s", problems)
	}
}
