package main

import (
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
)

// screens are what is looked at: in docs/ those that a page of the documentation shows, elsewhere all of them.
var screens = []struct {
	name, path string
	shown      bool
}{
	{"overview", "/", true},
	{"teams", "/teams", false},
	{"team", "/teams/pbx", false},
	{"pause", "/teams/pbx/pause", false},
	{"requests", "/requests", false},
	{"event", "/events/301", true},
	{"refused", "/refused/1", false},
	{"search", "/search?q=pbx.call.hangup", false},
	{"problems", "/problems", false},
	{"letter", "/problems/dead/1", false},
	{"entry", "/problems/quarantine/1", false},
	{"redrive", "/problems/redrive?team=pbx", false},
	{"send", "/send", false},
	{"replays", "/replay", false},
	{"newreplay", "/replay/new?team=pbx", false},
	{"replay", "/replay/start?team=pbx&rate=10", false},
}

// TestScreenshots makes something of everything happen, and takes pictures of all pages, wide and narrow, light and dark.
func TestScreenshots(t *testing.T) {
	if !*write {
		t.Skip("`make screenshots` writes them")
	}
	g := newStack(t, Settings{}, "pbx", "telesales", "autocall")
	g.trouble()
	all := filepath.Join(os.TempDir(), "sluice-screenshots")
	if err := os.MkdirAll(all, 0o700); err != nil {
		t.Fatal(err)
	}
	g.hour()
	tab := g.newTab("/")
	for _, s := range screens {
		for _, look := range []struct {
			name          string
			width, height int
			dark          bool
		}{{"light", 1280, 800, false}, {"dark", 1280, 800, true}, {"narrow", 375, 800, false}, {"narrow-dark", 375, 800, true}} {
			tab.Resize(look.width, look.height, look.dark)
			tab.Open(g.url + s.path)
			picture := tab.Screenshot(look.width < 600)
			keep(t, filepath.Join(all, s.name+"-"+look.name+".png"), picture)
			if s.shown && look.name == "light" {
				keep(t, filepath.Join(rig.Root(t), "docs", "console-"+s.name+".png"), picture)
			}
		}
	}
	t.Logf("all of them: %s", all)
}

func keep(t *testing.T, file string, picture []byte) {
	t.Helper()
	if err := os.WriteFile(file, picture, 0o600); err != nil {
		t.Fatal(err)
	}
}

// hour makes the hour before, which a test does not wait for.
func (g *stack) hour() {
	w := g.s.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	now := minute(time.Now())
	for _, name := range []string{"lag/pbx", "lag/autocall"} {
		was := w.of(name).values(now)
		fresh := newSeries()
		for i, v := range was[:minutes-1] {
			if math.IsNaN(v) {
				v = math.Max(0, math.Floor(30*math.Sin(float64(i)/9)+float64(i*i%17)))
			}
			fresh.add(now-minutes+1+int64(i), v)
		}
		if last := was[minutes-1]; !math.IsNaN(last) {
			fresh.add(now, last)
		}
		w.series[name] = fresh
	}
}

// trouble makes something of everything: events, refusals, dead letters, a team that is held, one that is not there.
func (g *stack) trouble() {
	g.t.Helper()
	for i := range 300 {
		g.sample([]string{"pbx.call.hangup", "pbx.call.ringing", "telesales.lead.created", "autocall.dtmf.pressed"}[i%4])
	}
	for i := range 3 {
		body := []byte(`{"event":"pbx.call.hangup","timestamp":"2026-11-23T03:30:00Z","data":{}}`)
		g.send("pbx.call.hangup", fmt.Sprintf("bad-%d", i), rig.Secret, time.Now(), body)
	}
	body := []byte(`{"event":"pbx.call.hangup","data":{}}`)
	for i := range 12 {
		if code := g.send("pbx.call.hangup", fmt.Sprintf("forged-%d", i), "another secret than the gateway's", time.Now(), body); code != http.StatusUnauthorized {
			g.t.Errorf("another secret: %d", code)
		}
	}
	g.send("pbx.call.hangup", "late-1", rig.Secret, time.Now().Add(-time.Hour), body)
	if err := g.find("telesales").Pause(g.t.Context(), g.js, "anna@desk", time.Now()); err != nil {
		g.t.Fatal(err)
	}
	for range 40 {
		g.sample("telesales.lead.created")
	}
	rig.Eventually(g.t, 30*time.Second, "the dead letters are there", func() bool {
		s, err := g.js.Stream(g.t.Context(), "DEAD")
		return err == nil && s.CachedInfo().State.Msgs == 3
	})
	rig.Eventually(g.t, 30*time.Second, "the console has seen it", func() bool {
		now, _, err := g.s.watch.latest(g.t.Context())
		return err == nil && len(now.Gateways) == 1 && refusals(now.Gateways[0].Answers) >= 12 && len(now.Findings(seen(&http.Request{}))) >= 2
	})
	time.Sleep(3 * time.Second) // more than one look
}
