package main

import (
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
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
	if problems := tab.Problems(); len(problems) > 0 {
		t.Errorf("the browser complains: %s", problems)
	}
}
