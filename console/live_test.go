package main

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
)

// A page that lives outlives the time that a request may take, and ends when the console does.
func TestALivePageLastsUntilTheConsoleEnds(t *testing.T) {
	needsReal(t)
	t.Parallel()
	g := newStage(t, Settings{})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, listener, g.web.Config.Handler, slog.New(slog.DiscardHandler)) }()
	heard, gone := follow(t.Context(), t, "http://"+listener.Addr().String()+"/")
	select {
	case err := <-gone:
		t.Fatalf("it ended before: %v", err)
	case <-time.After(max(bodyWithin, answerTakes) + 2*time.Second): // that is what is tested
	}
	if _, err := g.js.Publish(t.Context(), "events.zorio.pbx.call.hangup", nil); err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, 20*time.Second, "what changes is told", func() bool { return strings.Contains(heard.String(), "1 events in 24 hours") })
	stop()
	if err := <-ended; err != nil {
		t.Errorf("the console ends with %v", err)
	}
	select {
	case err := <-gone:
		t.Logf("the page ends with %v", err)
	case <-time.After(20 * time.Second):
		t.Error("the page does not end")
	}
}
