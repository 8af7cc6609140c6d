package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"

	"github.com/sluicehq/sluice/internal/ops/audit"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/internal/team"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

// evil is what a stranger would like a browser or a terminal to do.
const evil = `"'><script>alert(1)</script><img src=x onerror=alert(1)>` + "\x1b]0;owned\x07\x1b[2J\u202egnp\xff\xfe`{{.}}${1}javascript:alert(1)"

// bodies are those of strangers: what they would like to run, a mebibyte without an end of line, bytes that are no text.
var bodies = [][]byte{
	[]byte(`{"event":"pbx.call.hangup","data":{"x":"` + `</pre><script>alert(1)</script>` + `"}}`),
	[]byte(evil),
	[]byte(`{"a":"` + strings.Repeat("A", 1<<20) + `"}`),
	[]byte(strings.Repeat("[", 100000)),
	{0xff, 0xfe, 0, 1, 2, '<', 's', 'c', 'r', 'i', 'p', 't', '>'},
}

// strangers fills every stream with what strangers, broken processes and broken handlers may have written there.
func (g *stage) strangers() {
	g.t.Helper()
	g.team("pbx", ">")
	subjects := []string{"events.zorio.pbx.call.hangup", "dead.pbx.zorio.pbx.call.hangup", "retry.pbx.zorio.pbx.call.hangup", "replay.pbx.zorio.pbx.call.hangup",
		"quarantine.zorio.unroutable", "quarantine.zorio.late", "refused.zorio.invalid", "refused.zorio.malformed"}
	for _, subject := range subjects {
		for n, body := range bodies {
			m := &nats.Msg{Subject: subject, Data: body, Header: nats.Header{}}
			oneLine := strings.NewReplacer("\r", "", "\n", "").Replace(evil)
			for _, name := range []string{"X-Zorio-Delivery", "X-Zorio-Event", "X-Zorio-Signature", "X-Zorio-Timestamp", "X-Evil", "User-Agent", event.HeaderID,
				event.HeaderError, event.HeaderReason, event.HeaderPeer, event.HeaderAnswer, event.HeaderRequest, event.HeaderBody, event.HeaderSource} {
				m.Header.Set(name, oneLine)
			}
			m.Header.Set(event.HeaderFailure, time.Now().UTC().Format(time.RFC3339Nano)+" "+oneLine)
			m.Header.Set(event.HeaderReceived, time.Now().UTC().Format(time.RFC3339Nano))
			m.Header.Set(event.HeaderSequence, fmt.Sprint(n+1))
			if _, err := g.js.PublishMsg(g.t.Context(), m); err != nil {
				g.t.Fatalf("%s: %v", subject, err)
			}
		}
	}
	g.say("pbx.one", team.Process{State: team.Blocked, Why: evil, Host: evil, Since: time.Now()})
	g.say("pbx.two", map[string]any{"state": evil, "why": evil, "host": strings.Repeat(evil, 20)})
	g.say("=gateway.one", team.Gateway{Host: evil, Version: evil, Readiness: telemetry.Readiness{Status: evil, Dependencies: []telemetry.Dependency{
		{Name: evil, Health: telemetry.Health{Status: telemetry.Degraded, Detail: evil, Remedy: evil}}}}})
	if err := audit.Record(g.t.Context(), g.js, audit.Entry{By: evil, Action: audit.DeadDrop, Teams: []string{"pbx"}, What: evil, IDs: []string{evil}}); err != nil {
		g.t.Fatal(err)
	}
	t, err := team.Find(g.t.Context(), g.js, "pbx")
	if err != nil {
		g.t.Fatal(err)
	}
	if err := t.Pause(g.t.Context(), g.js, strings.ToValidUTF8(evil, "?"), time.Now()); err != nil {
		g.t.Fatal(err)
	}
	g.put("SLUICE_REPLAYS.20261123-130205-evil", map[string]any{"id": evil, "by": evil, "team": "pbx", "state": evil, "error": evil, "started": time.Now()})
}

// say is what a process says of itself.
func (g *stage) say(of string, said any) { g.t.Helper(); g.put(stream.Processes+"."+of, said) }

func (g *stage) put(key string, value any) {
	g.t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		g.t.Fatal(err)
	}
	if _, err := g.js.Publish(g.t.Context(), "$KV."+key, text); err != nil {
		g.t.Fatal(err)
	}
}

// tags of a page that only a stranger could have put there.
var foreign = regexp.MustCompile(`(?i)<script[^>]*>[^<]|<img src=x|<[^>&]*onerror=|href="javascript:`)

// No page runs, or shows as it came, what a stranger has sent, and none becomes so large that a browser chokes on it.
func TestNothingOfAStrangerRunsOnAnyPage(t *testing.T) {
	t.Parallel()
	g := newStage(t, Settings{})
	g.strangers()
	if err := g.s.watch.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	pages, actions := g.everywhere()
	asked := 0
	for _, path := range append(append(pages, actions...), "/"+"%3Cscript%3Ealert(1)%3C/script%3E", "/teams/%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E") {
		for _, query := range []string{"", "?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E%1b%ff&team=%3Cscript%3E&source=%3Cscript%3E&event=%3Cscript%3E&answer=%3Cscript%3E&said=%3Cscript%3E&from=%3Cscript%3E&to=%3Cscript%3E"} {
			status, header, body := g.visitor().ask(http.MethodGet, path+query, nil)
			asked++
			if status >= 500 {
				t.Errorf("%s%s: %d", path, query, status)
			}
			if !strings.HasPrefix(header.Get("Content-Type"), "text/") && header.Get("Content-Disposition") == "" {
				t.Errorf("%s is %s", path, header.Get("Content-Type"))
			}
			if header.Get("Content-Disposition") != "" { // a download is what it is
				continue
			}
			if at := foreign.FindStringIndex(body); at != nil {
				t.Errorf("%s%s: %s", path, query, body[max(0, at[0]-80):min(len(body), at[1]+80)])
			}
			if !utf8.ValidString(body) || strings.ContainsAny(body, "\x00\x07\x1b\u202e") {
				t.Errorf("%s%s has bytes that are no text", path, query)
			}
			if len(body) > 4<<20 {
				t.Errorf("%s%s has %d bytes", path, query, len(body))
			}
		}
	}
	if asked < 10 {
		t.Errorf("%d pages were asked for", asked)
	}
}
