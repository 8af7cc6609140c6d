package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/internal/rig"
)

func TestWithoutASecretAPageSaysHowToSend(t *testing.T) {
	t.Parallel()
	g := newStage(t, Settings{})
	for _, path := range []string{"/send", "/send/now?event=pbx.call.hangup"} {
		if status, html := g.page(path); status != http.StatusOK || !strings.Contains(html, "ZORIO_WEBHOOK_SECRET") || strings.Contains(html, "Send it") {
			t.Errorf("%s: %d %s", path, status, html)
		}
	}
	if _, said, status := g.visitor().does("/send/now?event=pbx.call.hangup"); status != http.StatusBadRequest || !strings.Contains(said, "cannot sign") {
		t.Errorf("%d %s", status, said)
	}
	if status, _ := g.page("/send?event=%3Cscript%3E"); status != http.StatusNotFound {
		t.Errorf("an event that nobody knows: %d", status)
	}
	g.s.settings.Secret, g.s.settings.Gateway = rig.Secret, "http://127.0.0.1:1/webhook"
	if _, said, status := g.visitor().does("/send/now?event=pbx.call.hangup"); status != http.StatusBadGateway || !strings.Contains(said, "is the gateway running there?") {
		t.Errorf("%d %s", status, said)
	}
}

// From a click to what the team did with it, and again from there to its replay.
func TestATestEventIsWatchedToItsTeam(t *testing.T) {
	t.Parallel()
	needsReal(t)
	g := newStack(t, Settings{Secret: rig.Secret}, "pbx")
	g.s.settings.Gateway = g.gateway.URL()
	g.find("pbx")
	tab := g.newTab("/send?event=pbx.call.hangup")
	tab.Loads(func() { tab.Click(`a[href^="/send/now"]`) })
	if text := tab.Text(); !strings.Contains(text, "It goes to pbx") {
		t.Errorf("%s", text)
	}
	tab.Loads(func() { tab.Click(".answer .primary") })
	tab.Waits(`location.pathname === '/events/1' && document.body.innerText.includes('was answered 200 OK')`)
	tab.Waits(`document.querySelector('#teams .chip.good')`)
	g.s.settings.Secret = strings.Repeat("wrong", 8)
	if _, said, status := g.visitor().does("/send/now?event=pbx.call.hangup"); status != http.StatusBadGateway || !strings.Contains(said, "another secret") {
		t.Errorf("%d %s", status, said)
	}
	if got := strings.Join(g.audited(), "; "); got != "event.send 1 ; event.send 1 " {
		t.Errorf("the audit: %s", got)
	}
	tab.Open(g.url + "/replay/start?team=pbx&rate=0")
	tab.Loads(func() { tab.Click(".answer .primary") })
	tab.Waits(`document.querySelector('#progress .chip').innerText === 'done' && /Processed\s*1|1\s*Processed/.test(document.querySelector('#progress').innerText)`)
	if problems := tab.Problems(); len(problems) > 0 {
		t.Errorf("the browser complains: %s", problems)
	}
}
