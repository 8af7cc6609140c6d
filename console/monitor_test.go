package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/access"
	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

// With the credentials of a monitor, which may look and change nothing, everything is seen: no page needs a consumer, which a monitor may
// not make.
func TestAMonitorSeesEverythingAndIsToldWhatItMayNotDo(t *testing.T) {
	t.Parallel()
	folder := access.Folder(t.TempDir())
	if err := folder.Make(); err != nil {
		t.Fatal(err)
	}
	server := rig.StartQuickNats(t, rig.Include(folder.Accounts()))
	as := func(user string) jetstream.JetStream {
		nc, err := stream.Connect(t.Context(), stream.Options{URL: server.URL(), Creds: folder.Seed(user)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		js, err := jetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		return js
	}
	operator := &stage{t: t, js: as(access.Operator)}
	rig.Declare(t, operator.js, stream.Settings{})
	operator.team("pbx", ">")
	operator.came("pbx.call.hangup", "the-call", []byte(`{"event":"pbx.call.hangup"}`))
	operator.came("pbx.call.ringing", "other", []byte(`{}`))
	operator.refused("duplicate", "200 Duplicate", "the-call", nil)

	g := stageOn(t, Settings{}, as(access.Monitor))
	g.says("/requests?last=1h", `href="/refused/1"`, `href="/events/2"`, `href="/events/1"`)
	g.says("/requests?event=pbx.call.hangup", `href="/events/1"`)
	g.says("/events/1", ">pbx</a>", "waiting in EVENTS", "the-call", `href="/refused/1"`)
	g.says("/refused/1", "Duplicate")
	g.says("/search?q=the-call", `href="/events/1"`)

	letter := nats.NewMsg("dead.pbx.zorio.pbx.call.hangup")
	letter.Header.Set(event.HeaderError, "the line is busy")
	for _, m := range []*nats.Msg{letter, nats.NewMsg("quarantine.zorio.late")} {
		if _, err := operator.js.PublishMsg(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	pages, _ := g.everywhere()
	for _, path := range pages {
		if status, _, body := g.visitor().ask(http.MethodGet, path, nil); status >= 500 {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	g.says("/problems", "the line is busy", "late")
	g.says("/problems/dead/1", "the line is busy")

	// What a monitor may not do is said at once, with what is missing, and not after a time-out.
	for _, path := range []string{"/problems/redrive?team=pbx", "/teams/pbx/pause", "/replay/start?team=pbx&rate=10"} {
		begun := time.Now()
		status, _, body := g.visitor().ask(http.MethodPost, path, url.Values{"span": {"1-2"}})
		if status != http.StatusForbidden || !strings.Contains(body, "operator.nk") || time.Since(begun) > answerWithin/2 {
			t.Errorf("POST %s: %d after %s: %s", path, status, time.Since(begun), body)
		}
	}
	if operator.paused("pbx") {
		t.Error("a monitor has paused a team")
	}
}
