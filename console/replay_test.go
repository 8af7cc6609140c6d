package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sluicehq/sluice/internal/history"
	"github.com/sluicehq/sluice/internal/ops/replay"
	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

// events stores events of a name.
func (g *stage) events(name string, n int) {
	g.t.Helper()
	for i := range n {
		id := fmt.Sprintf("%s-%d-%d", name, i, time.Now().UnixNano())
		g.publish(&nats.Msg{Subject: event.Subject("zorio", name), Header: nats.Header{event.HeaderID: {id + "/0123456789abcdef"}}, Data: []byte("{}")})
	}
}

// newest waits until the replay that was started last is in one of the states.
func (g *stage) newest(states ...replay.State) (e *replay.Entry) {
	g.t.Helper()
	journal, err := replay.OpenJournal(g.t.Context(), g.js)
	if err != nil {
		g.t.Fatal(err)
	}
	rig.Eventually(g.t, 30*time.Second, fmt.Sprintf("a replay is %v", states), func() bool {
		all, err := journal.List(context.Background())
		if err != nil || len(all) == 0 {
			return false
		}
		e = all[0]
		for _, state := range states {
			if e.State == state {
				return true
			}
		}
		return false
	})
	return e
}

// What was left when it was stopped is what was written down last, half a second ago at most.
var auditOfReplay = regexp.MustCompile(`^replay.start 60 pbx; replay.stop [0-9]+ pbx; replay.resume [0-9]+ pbx$`)

func TestAReplayIsCountedStartedStoppedAndResumed(t *testing.T) {
	t.Parallel()
	g := newStage(t, Settings{})
	g.team("pbx", "pbx.>")
	g.events("pbx.call.hangup", 60)
	g.events("telesales.lead.created", 5)
	for sequence := range uint64(10) {
		if err := history.Write(t.Context(), g.js, history.Entry{Team: "pbx", Sequence: sequence + 1, At: time.Now(), Outcome: history.Processed}); err != nil {
			t.Fatal(err)
		}
	}
	v := g.visitor()
	asked, _, status := v.does("/replay/start?team=pbx&missing=1&rate=10")
	if status != http.StatusSeeOther || !strings.Contains(asked, "50 events would go to pbx") || !strings.Contains(asked, "10 events of that time") || !strings.Contains(asked, "That takes about 6 s") {
		t.Fatalf("%d %s", status, asked)
	}
	id := g.newest(replay.Running).ID
	rig.Eventually(t, 30*time.Second, "some are replayed", func() bool { return g.messages(stream.Replay) > 2 })
	if _, said, _ := v.does("/replay/" + id + "/stop"); !strings.Contains(said, "The replay is stopped") {
		t.Errorf("%s", said)
	}
	stopped := g.newest(replay.Stopped)
	rig.Eventually(t, 30*time.Second, "nobody runs it", func() bool { return !g.s.runs.has(id) })
	if copies := g.messages(stream.Replay); copies >= 50 {
		t.Errorf("%d copies after a stop", copies)
	}
	if _, _, status := v.does("/replay/" + id + "/stop"); status != http.StatusConflict {
		t.Errorf("stopped twice: %d", status)
	}
	if asked, said, _ := v.does("/replay/" + id + "/resume"); !strings.Contains(asked, "are left") || !strings.Contains(said, "The replay goes on") {
		t.Errorf("%s\n%s", asked, said)
	}
	done := g.newest(replay.Done)
	if copies := g.messages(stream.Replay); copies != 50 || done.Progress.Skipped != 10 || done.ID != stopped.ID {
		t.Errorf("%d copies, %+v", copies, done)
	}
	if _, said, _ := v.does("/replay/" + id + "/resume"); !strings.Contains(said, "is done") {
		t.Errorf("%s", said)
	}
	if got := strings.Join(g.audited(), "; "); !auditOfReplay.MatchString(got) {
		t.Errorf("the audit: %s", got)
	}
	if _, html := g.page("/replay"); !strings.Contains(html, id) || !strings.Contains(html, g.s.here) {
		t.Errorf("%s", html)
	}
	for path, want := range map[string]string{
		"/replay/start?rate=1": "choose a team, or write a URL", "/replay/start?team=nobody&rate=1": "there is no such team", "/replay/start?team=pbx&rate=-1": "use events a second",
		"/replay/start?url=http://127.0.0.1:1/&rate=1": "set ZORIO_WEBHOOK_SECRET", "/replay/start?team=pbx&rate=1&event=%3Cscript%3E": "is not a pattern",
		"/replay/start?team=pbx&rate=1&from=2026-01-02T00:00&to=2026-01-01T00:00": "ends before it begins",
	} {
		if status, html := g.page(path); status != http.StatusBadRequest || !strings.Contains(html, want) || strings.Contains(html, "<script>") {
			t.Errorf("%s: %d %s", path, status, html)
		}
	}
}

func TestAURLGetsSignedEvents(t *testing.T) {
	t.Parallel()
	var taken atomic.Int64
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Zorio-Signature") != "" {
			taken.Add(1)
		}
	}))
	defer receiver.Close()
	g := newStage(t, Settings{Secret: rig.Secret})
	g.events("pbx.call.hangup", 5)
	asked, _, _ := g.visitor().does("/replay/start?rate=0&url=" + url.QueryEscape(receiver.URL))
	if !strings.Contains(asked, "unless it knows the delivery id") {
		t.Errorf("%s", asked)
	}
	if e := g.newest(replay.Done, replay.Failed, replay.Refused); e.State != replay.Done || taken.Load() != 5 {
		t.Errorf("%+v, %d taken", e, taken.Load())
	}
}

// The wizard in a browser: a time is dragged on the histogram, the replay is watched, stopped, and resumed.
func TestAReplayInABrowser(t *testing.T) {
	t.Parallel()
	needsReal(t)
	g := newStage(t, Settings{})
	g.team("pbx", "pbx.>")
	g.events("pbx.call.hangup", 40)
	tab := g.newTab("/replay/new")
	tab.Script(`(() => { const h = document.querySelector('[data-histogram]'), b = h.getBoundingClientRect();
		const at = (type, share) => (type === 'pointerdown' ? h : window).dispatchEvent(new PointerEvent(type, {clientX: b.left + b.width * share, clientY: b.top + 5, bubbles: true}));
		at('pointerdown', 0); at('pointermove', 0.5); at('pointermove', 1); at('pointerup', 1); })()`, nil)
	tab.Waits(`document.getElementById('from').value && document.getElementById('to').value && document.querySelectorAll('.slot.chosen').length === 48`)
	tab.Script(`document.getElementById('team').value = 'pbx'; document.getElementById('rate').value = '8'`, nil)
	tab.Loads(func() { tab.Click(".wizard .primary") })
	if text := tab.Text(); !strings.Contains(text, "Replay 40 events to pbx?") {
		t.Fatalf("%s", text)
	}
	tab.Loads(func() { tab.Click(".answer .primary") })
	tab.Waits(`/[1-9][0-9]* of 40 events/.test(document.body.innerText)`) // it moves without a reload
	tab.Loads(func() { tab.Click(`a[href$="/stop"]`) })
	tab.Loads(func() { tab.Click(".answer .primary") })
	tab.Waits(`document.querySelector('#progress .chip').innerText === 'stopped'`)
	tab.Loads(func() { tab.Click(`a[href$="/resume"]`) })
	tab.Loads(func() { tab.Click(".answer .primary") })
	tab.Waits(`document.querySelector('#progress .chip').innerText === 'done' && document.body.innerText.includes('40 of 40 events')`)
	if copies := g.messages(stream.Replay); copies != 40 {
		t.Errorf("%d copies", copies)
	}
	if problems := tab.Problems(); len(problems) > 0 {
		t.Errorf("the browser complains: %s", problems)
	}
}
