package stream_test

import (
	"sync"
	"testing"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
)

// Several who read large bodies at the same time, over one connection, do not lose it: NATS cuts one that has more to take
// than max_pending, which is 64 MB unless it is set. What is being written counts until all of it is.
func TestReadingBackwardsKeepsTheConnection(t *testing.T) {
	t.Parallel()
	js := rig.JetStream(t, rig.StartQuickNats(t, "max_pending: 32MB").URL())
	rig.Declare(t, js, stream.Settings{})
	const messages = 24
	for range messages {
		if _, err := js.Publish(t.Context(), "events.zorio.x", make([]byte, 512<<10)); err != nil {
			t.Fatal(err)
		}
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if got, _, err := stream.Back(t.Context(), js, stream.Events, messages+1, messages); err != nil || len(got) != messages {
				t.Errorf("%d messages, %v", len(got), err)
			}
		})
	}
	all.Wait()
	if n := js.Conn().Stats().Reconnects; n > 0 {
		t.Errorf("the connection was lost %d times", n)
	}
}
