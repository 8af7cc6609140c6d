package main

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/pkg/event"
)

// A team that fails stores a copy in RETRY and acknowledges the event: that is not to be taken for processed.
func TestAnEventThatFailsIsNotSaidToBeProcessed(t *testing.T) {
	g := newStage(t)
	g.team("pbx", "pbx.>")
	var out rig.Buffer
	f := (&sender{nats: g.js.Conn().ConnectedUrl(), wait: 20 * time.Second}).follow(t.Context())
	if f.err != nil {
		t.Fatal(f.err)
	}
	defer f.close()
	g.event("pbx.call.hangup")
	copied := nats.NewMsg(event.WaitSubject("pbx", "EVENTS.1.dp8wz1mvp8g"))
	copied.Header.Set("Nats-Schedule", "@at "+time.Now().Add(time.Hour).UTC().Format(time.RFC3339Nano))
	copied.Header.Set("Nats-Schedule-Target", event.RetrySubject("pbx", "zorio", "pbx.call.hangup"))
	g.publish(copied)
	if err := g.js.Conn().Publish("$JS.ACK.EVENTS.pbx.1.1.1.1764000000000000000.0", nil); err != nil {
		t.Fatal(err)
	}
	f.listen(t.Context(), 1, []string{"pbx"}, &out)
	if !strings.Contains(out.String(), "failed in pbx") || strings.Contains(out.String(), "processed") {
		t.Error(out.String())
	}
}
