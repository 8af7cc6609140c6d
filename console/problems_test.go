package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sluicehq/sluice/internal/ops/audit"
	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/zorio"
)

const hostile = "<script>alert(1)</script>\x1b[2J\xff"

// bury stores dead letters of a team, whose errors differ in a number.
func (g *stage) bury(team, name, failed string, n int) {
	g.t.Helper()
	for i := range n {
		e := (&event.Event{Source: "zorio", Name: name, Identity: fmt.Sprintf("%s-%d/0123456789abcdef", name, i), Sequence: uint64(i + 1), Attempt: 1}).Failed(time.Now(), errors.New(failed))
		header := nats.Header(e.Copy())
		header.Set(event.HeaderReason, event.ReasonPermanent)
		header.Set(event.HeaderError, event.OneLine(fmt.Sprintf("%s %d", failed, i), 400))
		header.Set(zorio.HeaderSignature, "sha256="+strings.Repeat("ab", 32))
		g.publish(&nats.Msg{Subject: event.DeadSubject(team, "zorio", name), Header: header, Data: []byte(`{"a": "` + hostile + `"}`)})
	}
}

// isolate puts deliveries into quarantine.
func (g *stage) isolate(reason, claimed, body string, n int) {
	g.t.Helper()
	for i := range n {
		header := nats.Header{}
		digits := fmt.Sprintf("%016x", time.Now().UnixNano()) + strings.Repeat("0", 48)
		header.Set(event.HeaderID, digits)
		header.Set(zorio.HeaderEvent, claimed)
		header.Set(zorio.HeaderDelivery, fmt.Sprintf("q-%d", i))
		header.Set(zorio.HeaderSignature, "sha256="+digits)
		g.publish(&nats.Msg{Subject: event.QuarantineSubject("zorio", reason), Header: header, Data: []byte(body)})
	}
}

// audited are the actions that are written down, as words.
func (g *stage) audited() (all []string) {
	g.t.Helper()
	err := audit.Each(context.Background(), g.js, audit.Selection{}, func(e *audit.Entry) error {
		all = append(all, fmt.Sprintf("%s %d %s", e.Action, e.Count, strings.Join(e.Teams, ",")))
		if e.By != g.s.here {
			g.t.Errorf("%s was done by %q, want %q", e.Action, e.By, g.s.here)
		}
		return nil
	})
	if err != nil {
		g.t.Fatal(err)
	}
	return all
}

func (g *stage) messages(name string) uint64 { return rig.Messages(g.t, g.js, name) }

var spanField = regexp.MustCompile(`name="span" value="([0-9]+-[0-9]+)"`)

// does asks and confirms an action, and returns what its question and its answer show.
func (v *visitor) does(path string) (asked, said string, status int) {
	v.g.t.Helper()
	code, _, asked := v.ask(http.MethodGet, path, nil)
	if code != http.StatusOK {
		return asked, "", code
	}
	form := url.Values{}
	if span := spanField.FindStringSubmatch(asked); span != nil {
		form.Set("span", span[1])
	}
	return v.confirms(asked, path, form)
}

func (v *visitor) confirms(asked, path string, form url.Values) (_, said string, status int) {
	v.g.t.Helper()
	code, header, body := v.ask(http.MethodPost, path, form)
	if code != http.StatusSeeOther {
		return asked, body, code
	}
	_, _, body = v.ask(http.MethodGet, header.Get("Location"), nil)
	return asked, body, code
}

func TestLettersAreCountedRedrivenAndDropped(t *testing.T) {
	t.Parallel()
	g := newStage(t, Settings{})
	g.team("pbx", "pbx.>")
	g.bury("pbx", "pbx.call.hangup", "no extension", 12)
	g.bury("pbx", "pbx.call.ringing", "no extension", 3)
	g.bury("telesales", "telesales.lead.created", hostile, 2)
	v := g.visitor()
	_, _, page := v.ask(http.MethodGet, "/problems", nil)
	for _, want := range []string{`<td class="n">12</td>`, `<td class="n">3</td>`, "no extension 11", "&lt;script&gt;"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not show %q", want)
		}
	}
	_, _, one := v.ask(http.MethodGet, "/problems/dead/1", nil)
	if strings.Contains(one, "<script>alert") || strings.Contains(one, strings.Repeat("ab", 32)) || strings.Contains(one, "\x1b") || !strings.Contains(one, "ff 22 7d") && !strings.Contains(one, "&lt;script&gt;") {
		t.Errorf("a letter is shown as\n%s", one)
	}
	group := "/problems/redrive?team=pbx&event=pbx.call.hangup&reason=permanent&like=" + url.QueryEscape("no extension 11")
	asked, _, _ := v.does("/problems/drop?sequence=13")
	if !strings.Contains(asked, "1 dead letter of pbx would be removed for good") {
		t.Errorf("%s", asked)
	}
	_, _, asked = v.ask(http.MethodGet, group, nil)
	span := spanField.FindStringSubmatch(asked)
	if span == nil || !strings.Contains(asked, "12 dead letters would go back to pbx") {
		t.Fatalf("%s", asked)
	}
	g.bury("pbx", "pbx.call.hangup", "no extension", 1) // comes after the question, and was not asked about
	if _, said, _ := v.confirms(asked, group, url.Values{"span": {span[1]}}); !strings.Contains(said, "12 dead letters sent back") {
		t.Errorf("%s", said)
	}
	if dead, copies := g.messages(stream.Dead), g.messages(stream.Replay); dead != 5 || copies != 12 {
		t.Errorf("%d letters are left, %d copies", dead, copies)
	}
	if got := strings.Join(g.audited(), "; "); got != "dead.drop 1 pbx; dead.redrive 12 pbx" {
		t.Errorf("the audit: %s", got)
	}
	if _, said, status := v.does("/problems/drop?sequence=13"); status != http.StatusConflict || !strings.Contains(said, "nothing was done") {
		t.Errorf("one that is gone: %d\n%s", status, said)
	}
}

func TestQuarantineIsReleasedAndDropped(t *testing.T) {
	t.Parallel()
	g := newStage(t, Settings{})
	g.isolate("late", "pbx.call.hangup", `{"event":"pbx.call.hangup"}`, 4)
	g.isolate("unroutable", hostile[:10], `not JSON `+hostile, 2)
	v := g.visitor()
	if _, _, page := v.ask(http.MethodGet, "/problems", nil); !strings.Contains(page, `<td class="n">4</td>`) || strings.Contains(page, "<script>") {
		t.Errorf("%s", page)
	}
	_, _, one := v.ask(http.MethodGet, "/problems/quarantine/5", nil)
	if strings.Contains(one, "<script>al") || strings.Contains(one, strings.Repeat("0", 48)) || !strings.Contains(one, "no event name that can be used") {
		t.Errorf("an entry is shown as\n%s", one)
	}
	if _, header, body := v.ask(http.MethodGet, "/problems/quarantine/5/body", nil); body != "not JSON "+hostile || !strings.HasPrefix(header.Get("Content-Disposition"), "attachment") {
		t.Errorf("downloaded: %q, %v", body, header)
	}
	asked, said, _ := v.does("/problems/quarantine/release?source=zorio&reason=late&event=pbx.call.hangup")
	if !strings.Contains(asked, "4 deliveries would be stored") || !strings.Contains(said, "4 deliveries released") {
		t.Errorf("%s\n%s", asked, said)
	}
	if _, said, status := v.does("/problems/quarantine/release?sequence=5"); status != http.StatusBadRequest || !strings.Contains(said, "1 delivery stay") {
		t.Errorf("without a name: %d\n%s", status, said)
	}
	if _, said, _ := v.does("/problems/quarantine/release?sequence=5&as=pbx.call.hangup"); !strings.Contains(said, "1 delivery released") {
		t.Errorf("%s", said)
	}
	if _, said, _ := v.does("/problems/quarantine/drop?sequence=6"); !strings.Contains(said, "1 delivery dropped") {
		t.Errorf("%s", said)
	}
	if events, left := g.messages(stream.Events), g.messages(stream.Quarantine); events != 5 || left != 0 {
		t.Errorf("%d events, %d left", events, left)
	}
	if got := strings.Join(g.audited(), "; "); got != "quarantine.release 4 ; quarantine.release 1 ; quarantine.drop 1 " {
		t.Errorf("the audit: %s", got)
	}
}

// Two operators who have the same question open: one of them does it, the other is told that it was done.
func TestOfTwoBrowsersOneIsLate(t *testing.T) {
	t.Parallel()
	g := newStage(t, Settings{})
	g.team("pbx", "pbx.>")
	g.bury("pbx", "pbx.call.hangup", "no extension", 1)
	verbs := []string{"redrive", "drop", "redrive", "drop"}
	codes := make([]int, len(verbs))
	var clicking sync.WaitGroup
	for i, verb := range verbs {
		v := g.visitor()
		v.ask(http.MethodGet, "/problems/"+verb+"?sequence=1", nil)
		clicking.Go(func() { codes[i], _, _ = v.ask(http.MethodPost, "/problems/"+verb+"?sequence=1", nil) })
	}
	clicking.Wait()
	won := -1
	for i, code := range codes {
		switch {
		case code == http.StatusSeeOther && won < 0:
			won = i
		case code != http.StatusConflict:
			t.Errorf("answers %v", codes)
		}
	}
	if won < 0 {
		t.Fatalf("nobody did it: %v", codes)
	}
	copies := map[string]uint64{"redrive": 1, "drop": 0}[verbs[won]]
	if got := g.messages(stream.Replay); got != copies || g.messages(stream.Dead) != 0 {
		t.Errorf("%s won, and there are %d copies", verbs[won], got)
	}
	if got := g.audited(); len(got) != 1 || !strings.HasPrefix(got[0], "dead."+verbs[won]) {
		t.Errorf("%s won, the audit: %v", verbs[won], got)
	}
}

// The same in two browsers, and what the pages look like while it happens.
func TestAnOperatorRedrivesInABrowser(t *testing.T) {
	t.Parallel()
	needsReal(t)
	g := newStage(t, Settings{})
	g.team("pbx", "pbx.>")
	g.bury("pbx", "pbx.call.hangup", "no extension", 3)
	one, other := g.newTab("/problems"), g.newTab("/problems/redrive?sequence=1")
	one.Loads(func() { one.Click(`a[href^="/problems/redrive?team=pbx&event"]`) })
	if text := one.Text(); !strings.Contains(text, "3 dead letters would go back to pbx") {
		t.Errorf("%s", text)
	}
	one.Loads(func() { one.Click(".answer .primary") })
	one.Waits(`document.body.innerText.includes('3 dead letters sent back') && document.body.innerText.includes('No dead letters')`)
	other.Loads(func() { other.Click(".answer .primary") })
	if text := other.Text(); !strings.Contains(text, "Somebody else was faster") {
		t.Errorf("who is late reads\n%s", text)
	}
	if got := strings.Join(g.audited(), "; "); got != "dead.redrive 3 pbx" || g.messages(stream.Replay) != 3 {
		t.Errorf("the audit: %s; %d copies", got, g.messages(stream.Replay))
	}
	g.bury("pbx", "pbx.call.hangup", "no extension", 1) // a page that is open learns it
	one.Waits(`document.querySelector('#letters td.n')?.innerText === '1'`)
	for _, tab := range []*rig.Tab{one, other} {
		for _, problem := range tab.Problems() {
			if !strings.Contains(problem, "409") { // who is late
				t.Errorf("the browser complains: %s", problem)
			}
		}
	}
}
