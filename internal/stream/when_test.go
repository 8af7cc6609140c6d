package stream_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
)

// What is asked in one request is what reading everything would find.
func TestAStreamIsCountedAndSearchedByTimeInOneRequest(t *testing.T) {
	t.Parallel()
	js := rig.Hub(t, stream.Settings{})
	if n, err := stream.Count(t.Context(), js, stream.Events, "events.zorio.>"); n != 0 || err != nil {
		t.Errorf("an empty stream has %d: %v", n, err)
	}
	if first, err := stream.FirstSince(t.Context(), js, stream.Events, time.Now().Add(-time.Hour)); first != 0 || err != nil {
		t.Errorf("an empty stream begins with %d: %v", first, err)
	}
	var second time.Time
	for n := range 6 {
		if n == 3 {
			time.Sleep(2 * time.Millisecond)
			second = time.Now()
		}
		if _, err := js.Publish(t.Context(), fmt.Sprintf("events.zorio.%s.%d", []string{"pbx", "telesales"}[n%2], n), nil); err != nil {
			t.Fatal(err)
		}
	}
	for subject, want := range map[string]uint64{"events.zorio.>": 6, "events.zorio.pbx.>": 3, "events.zorio.pbx.0": 1, "events.other.>": 0} {
		if n, err := stream.Count(t.Context(), js, stream.Events, subject); n != want || err != nil {
			t.Errorf("%s: %d, want %d: %v", subject, n, want, err)
		}
	}
	for since, want := range map[time.Time]uint64{time.Now().Add(-time.Hour): 1, second: 4, time.Now().Add(time.Hour): 0} {
		if first, err := stream.FirstSince(t.Context(), js, stream.Events, since); first != want || err != nil {
			t.Errorf("since %s: #%d, want #%d: %v", since, first, want, err)
		}
	}
}
