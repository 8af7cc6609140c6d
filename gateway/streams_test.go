package main

import (
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
)

// A store that was wiped under a running gateway is one of its own making again, without a restart; and what was stored
// in the old one is not said to be there any more, whatever Redis remembers.
func TestAWipedStoreIsMadeAgainAndNothingInItIsADuplicate(t *testing.T) {
	for _, memory := range []string{"Redis", "memory"} {
		t.Run(memory, func(t *testing.T) {
			t.Parallel()
			g, nats := startRemembering(t, memory)
			js := g.js(nats.URL())
			for again := range 2 {
				b := body("pbx.call.hangup", 1)
				if got := g.send("pbx.call.hangup", "1", b); got != "200 OK" {
					t.Errorf("after %d wipes, of which the store knows nothing: %s", again, got)
				}
				rig.Eventually(t, 20*time.Second, "it is remembered", func() bool { return g.send("pbx.call.hangup", "1", b) == "200 Duplicate" })
				if copies := stored(t, js); copies["1"] != 1 {
					t.Errorf("after %d wipes it is stored %d times", again, copies["1"])
				}
				for _, name := range []string{stream.Events, stream.Retry, stream.Dead, stream.History, "KV_" + stream.Processes} {
					if err := js.DeleteStream(t.Context(), name); err != nil {
						t.Fatal(err)
					}
				}
				rig.Eventually(t, 30*time.Second, "all streams are there again", func() bool {
					absent, err := stream.Absent(t.Context(), js)
					return err == nil && len(absent) == 0
				})
			}
			g.WaitFor("streams were removed from NATS", 20*time.Second)
			g.ready()
		})
	}
}
