package tally

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEventsAreCountedByKindSinceATime(t *testing.T) {
	js := rig.Hub(t, stream.Settings{})
	if got, err := Since(t.Context(), js, time.Now().Add(-time.Hour), Most); err != nil || got.Events != 0 {
		t.Errorf("without events: %+v %v", got, err)
	}
	rig.Store(t, js, 10, "old.one")
	last, err := stream.Get(t.Context(), js, stream.Events, 10)
	if err != nil {
		t.Fatal(err)
	}
	since := last.Time.Add(time.Nanosecond)
	rig.Store(t, js, 90, "pbx.a", "pbx.b", "pbx.a")
	if _, err := js.Publish(t.Context(), "events.foreign", nil); err != nil {
		t.Fatal(err)
	}
	got, err := Since(t.Context(), js, since, Most)
	if err != nil || got.Events != 90 || got.Read != 90 || got.Bytes != 90*rig.StoredBytes || got.Sampled || len(got.Kinds) != 2 {
		t.Fatalf("%+v %v", got, err)
	}
	if k := got.Kinds[0]; k.Event != "pbx.a" || k.Count != 60 || k.Bytes != 60*rig.StoredBytes || k.Rate <= 0 || k.Newest.IsZero() {
		t.Errorf("%+v", k)
	}
	if got, err := Since(t.Context(), js, time.Now().Add(time.Hour), Most); err != nil || got.Events != 0 {
		t.Errorf("nothing came since: %+v %v", got, err)
	}
}

// Of many events some are read, and the counts are close all the same.
func TestManyEventsAreSampled(t *testing.T) {
	js := rig.Hub(t, stream.Settings{})
	rig.Store(t, js, 3000, "pbx.a", "pbx.b", "pbx.a")
	rig.Store(t, js, 1000, "fax.c")
	got, err := Since(t.Context(), js, time.Now().Add(-time.Hour), 400)
	if err != nil || !got.Sampled || got.Read != 400 || len(got.Kinds) != 3 {
		t.Fatalf("%+v %v", got, err)
	}
	if got.Events < 3990 || got.Events > 4010 {
		t.Errorf("%d events of 4000", got.Events)
	}
	for i, want := range []uint64{2000, 1000, 1000} {
		if k := got.Kinds[i]; k.Count < want*8/10 || k.Count > want*12/10 || k.Bytes != rig.StoredBytes*k.Count {
			t.Errorf("%+v, want about %d", k, want)
		}
	}
}
