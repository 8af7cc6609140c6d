package main

import (
	"fmt"
	"testing"
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
