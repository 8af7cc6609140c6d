package main

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/access"
	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
)

// With the credentials of a monitor, which may look and change nothing, everything about requests is seen: pages take no
// consumer, which a monitor may not make.
func TestAMonitorSeesAllRequests(t *testing.T) {
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
}
