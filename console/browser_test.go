package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/sluicehq/sluice/internal/ops/audit"
	"github.com/sluicehq/sluice/internal/rig"
)

// What changes is seen without a reload.
func TestAPageLives(t *testing.T) {
	t.Parallel()
	g := newStage(t, Settings{})
	tab := g.newTab("/")
	if text := tab.Text(); !strings.Contains(text, "No event has come yet") {
		t.Errorf("%s", text)
	}
	if _, err := g.js.PublishMsg(t.Context(), &nats.Msg{Subject: "events.zorio.pbx.call.hangup", Data: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	tab.Waits(`document.body.innerText.includes('1 events in 24 hours')`)
	mustNotComplain(t, tab)
}

func mustNotComplain(t *testing.T, tab *rig.Tab) {
	t.Helper()
	if problems := tab.Problems(); len(problems) > 0 {
		t.Errorf("the browser complains: %s", problems)
	}
}

// An operator pauses and resumes a team with the keys alone. Another browser sees each at once, and the audit has both.
func TestATeamIsPausedAndResumedAndAnotherBrowserSeesIt(t *testing.T) {
	needsReal(t)
	t.Parallel()
	g := newStack(t, Settings{}, "pbx")
	g.find("pbx")
	other := g.newTab("/")
	mine := g.newTab("/teams")
	mine.Waits(`document.querySelector('.row a')`)
	mine.Key("j")
	mine.Loads(func() { mine.Key("Enter") })
	mine.Waits(`location.pathname === '/teams/pbx'`)
	mine.Loads(func() { mine.Click(`a[href="/teams/pbx/pause"]`) })
	if text := mine.Text(); !strings.Contains(text, "Its processes finish the events in flight") || !strings.Contains(text, "sluicectl teams pause pbx") || g.paused("pbx") {
		t.Errorf("before the button: paused %v\n%s", g.paused("pbx"), text)
	}
	mine.Loads(func() { mine.Click(`button.primary`) })
	if text := mine.Text(); !strings.Contains(text, "pbx is paused") || !strings.Contains(text, "Held by "+thisUser()) || !g.paused("pbx") {
		t.Errorf("after it: paused %v\n%s", g.paused("pbx"), text)
	}
	other.Waits(`document.querySelector('.needs')?.innerText.includes('pbx is paused by')`)
	g.sample("pbx.call.hangup")
	other.Waits(`document.querySelector('.needs')?.innerText.includes('1 events pending')`)
	other.Loads(func() { other.Click(`.need a[href="/teams/pbx/resume"]`) })
	other.Loads(func() { other.Click(`button.primary`) })
	mine.Waits(`document.querySelector('h1').innerText.includes('working')`)
	if g.paused("pbx") {
		t.Error("it is paused")
	}
	var done []audit.Action
	if err := audit.Each(t.Context(), g.js, audit.Selection{Team: "pbx"}, func(e *audit.Entry) error {
		if done = append(done, e.Action); e.By != thisUser() {
			t.Errorf("%s by %s", e.Action, e.By)
		}
		return nil
	}); err != nil || len(done) != 2 || done[0] != audit.TeamPause || done[1] != audit.TeamResume {
		t.Errorf("the audit has %v: %v", done, err)
	}
	mustNotComplain(t, mine)
	mustNotComplain(t, other)
}

// While the gateway is away, with the NATS inside it, pages say that they are old, and go on by themselves.
func TestPagesOutliveAGatewayThatIsAway(t *testing.T) {
	needsReal(t)
	t.Parallel()
	g := newStack(t, Settings{})
	g.sample("pbx.call.hangup")
	tab := g.newTab("/")
	tab.Waits(`document.body.innerText.includes('1 events in 24 hours')`)
	g.gateway.Kill()
	tab.Waits(`!document.getElementById('trouble').hidden && document.getElementById('trouble').innerText.includes('NATS is not reachable')`)
	if !strings.Contains(tab.Text(), "1 events in 24 hours") {
		t.Error("what was known is gone")
	}
	g.gateway.Start()
	g.gateway.Ready()
	tab.Waits(`document.getElementById('trouble').hidden`)
	g.sample("pbx.call.ringing")
	tab.Waits(`document.body.innerText.includes('2 events in 24 hours')`)
}

func TestTheKeysDoWhatTheHelpSays(t *testing.T) {
	needsReal(t)
	t.Parallel()
	g := newStage(t, Settings{})
	g.team("autocall", "autocall.>")
	g.team("pbx", "pbx.>")
	tab := g.newTab("/teams")
	tab.Waits(`document.querySelectorAll('.row').length === 2`)
	focused := func(want string) {
		t.Helper()
		tab.Waits(`document.activeElement.getAttribute('href') === '/teams/` + want + `'`)
	}
	tab.Key("j")
	focused("autocall")
	tab.Key("j")
	focused("pbx")
	tab.Key("j")
	focused("pbx")
	tab.Key("k")
	focused("autocall")
	tab.Waits(`new Promise(r => setTimeout(() => r(document.activeElement.getAttribute('href') === '/teams/autocall'), 500))`) // parts are replaced meanwhile
	tab.Key("?")
	tab.Waits(`document.getElementById('help').open`)
	mustNotComplain(t, tab)
}

// A time stands in the page in the reader's zone, and says UTC to who asks.
func TestTimesAreThoseOfTheReader(t *testing.T) {
	needsReal(t)
	t.Parallel()
	g := newStack(t, Settings{})
	tab := g.newTab("/")
	tab.Waits(`document.querySelector('#gateways time')`)
	var shown struct{ Zone, At, Text, Title string }
	tab.Script(`(() => { const t = document.querySelector('#gateways time[data-time=at]'); return {zone: Intl.DateTimeFormat().resolvedOptions().timeZone, at: t.dateTime, text: t.innerText, title: t.title} })()`, &shown)
	if !strings.HasSuffix(shown.Title, " UTC") || strings.Contains(shown.Text, "UTC") || len(shown.Text) < 8 {
		t.Errorf("%+v", shown)
	}
}

// accessible is what a page needs for those who do not see it, or use no pointer: each complaint is a line.
const accessible = `(() => {
  const wrong = [];
  const name = (e) => (e.getAttribute('aria-label') || e.innerText || e.title || e.querySelector('img[alt]')?.alt || '').trim();
  const say = (what, e) => wrong.push(what + ': ' + e.outerHTML.slice(0, 160));
  if (!document.documentElement.lang) wrong.push('no language');
  if (document.querySelectorAll('h1').length !== 1) wrong.push(document.querySelectorAll('h1').length + ' h1');
  if (!document.title) wrong.push('no title');
  let level = 1;
  for (const h of document.querySelectorAll('main h1, main h2, main h3, main h4')) {
    const l = Number(h.tagName[1]);
    if (l > level + 1) say('a level is left out', h);
    level = l;
  }
  const shown = (e) => e.checkVisibility() && e.getClientRects().length > 0;
  for (const e of document.querySelectorAll('a[href], button, summary')) if (shown(e) && !name(e)) say('no name', e);
  for (const e of document.querySelectorAll('img')) if (!e.hasAttribute('alt')) say('no alt', e);
  for (const e of document.querySelectorAll('svg[role=img]')) if (!name(e)) say('no name', e);
  for (const e of document.querySelectorAll('input:not([type=hidden]), select, textarea')) {
    if (!e.labels.length && !e.getAttribute('aria-label')) say('no label', e);
  }
  const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
  for (const id of new Set(ids)) if (ids.filter((i) => i === id).length > 1) wrong.push('twice: #' + id);
  if (document.documentElement.scrollWidth > innerWidth) wrong.push('wider than the window: ' + document.documentElement.scrollWidth + ' of ' + innerWidth);
  const rgb = (c) => c.match(/[\d.]+/g).map(Number);
  const light = (c) => { const [r, g, b] = c.map((v) => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
  const behind = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0) return c; } return [255, 255, 255]; };
  for (const e of document.querySelectorAll('body *')) {
    if (!shown(e) || ![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) || e.closest('svg')) continue;
    const a = light(rgb(getComputedStyle(e).color)), b = light(behind(e));
    const contrast = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (contrast < 4.5) say('contrast ' + contrast.toFixed(2), e);
  }
  return [...new Set(wrong)];
})()`

// Pages can be used without a pointer and without sight, wide and narrow, light and dark, empty and full.
func TestPagesAreAccessible(t *testing.T) {
	needsReal(t)
	t.Parallel()
	empty, full := newStage(t, Settings{}), newStage(t, Settings{})
	full.strangers()
	full.letters(3)
	for name, g := range map[string]*stage{"empty": empty, "full": full} {
		pages, actions := g.everywhere()
		tab := g.newTab("/")
		for _, path := range append(pages, actions...) {
			for _, look := range []struct {
				width int
				dark  bool
			}{{1280, false}, {375, true}} {
				tab.Resize(look.width, 800, look.dark)
				tab.Open(g.url + path)
				var wrong []string
				tab.Script(accessible, &wrong)
				for _, w := range wrong {
					t.Errorf("%s, %s, %d pixels: %s", name, path, look.width, w)
				}
			}
		}
		var complaints []string
		for _, p := range tab.Problems() { // a page of something that is not there is no problem
			if !strings.Contains(p, "Failed to load resource") {
				complaints = append(complaints, p)
			}
		}
		if len(complaints) > 0 {
			text, _ := json.Marshal(complaints)
			t.Errorf("%s: the browser complains: %s", name, text)
		}
	}
}
