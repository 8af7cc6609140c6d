package tally

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// store stores events of names in turns, with bodies of 100 bytes.
func store(t *testing.T, js jetstream.JetStream, count int, names ...string) {
	t.Helper()
	for i := range count {
		m := &nats.Msg{Subject: event.Subject("zorio", names[i%len(names)]), Data: make([]byte, 100), Header: nats.Header{event.HeaderID: {fmt.Sprintf("%s-%d/0123456789abcdef", names[0], i)}}}
		if _, err := js.PublishMsgAsync(m, jetstream.WithStallWait(10*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
}

func TestEventsAreCountedByKindSinceATime(t *testing.T) {
	js := rig.Hub(t, stream.Settings{})
	if got, err := Since(t.Context(), js, time.Now().Add(-time.Hour), Most); err != nil || got.Events != 0 {
		t.Errorf("without events: %+v %v", got, err)
	}
	store(t, js, 10, "old.one")
	last, err := stream.Get(t.Context(), js, stream.Events, 10)
	if err != nil {
		t.Fatal(err)
	}
	since := last.Time.Add(time.Nanosecond)
	store(t, js, 90, "pbx.a", "pbx.b", "pbx.a")
	if _, err := js.Publish(t.Context(), "events.foreign", nil); err != nil {
		t.Fatal(err)
	}
	got, err := Since(t.Context(), js, since, Most)
	if err != nil || got.Events != 90 || got.Read != 90 || got.Bytes != 9000 || got.Sampled || len(got.Kinds) != 2 {
		t.Fatalf("%+v %v", got, err)
	}
	if k := got.Kinds[0]; k.Event != "pbx.a" || k.Count != 60 || k.Bytes != 6000 || k.Rate <= 0 || k.Newest.IsZero() {
		t.Errorf("%+v", k)
	}
	if got, err := Since(t.Context(), js, time.Now().Add(time.Hour), Most); err != nil || got.Events != 0 {
		t.Errorf("nothing came since: %+v %v", got, err)
	}
}

// Of many events some are read, and the counts are close all the same.
func TestManyEventsAreSampled(t *testing.T) {
	js := rig.Hub(t, stream.Settings{})
	store(t, js, 3000, "pbx.a", "pbx.b", "pbx.a")
	store(t, js, 1000, "fax.c")
	got, err := Since(t.Context(), js, time.Now().Add(-time.Hour), 400)
	if err != nil || !got.Sampled || got.Read != 400 || len(got.Kinds) != 3 {
		t.Fatalf("%+v %v", got, err)
	}
	if got.Events < 3990 || got.Events > 4010 {
		t.Errorf("%d events of 4000", got.Events)
	}
	for i, want := range []uint64{2000, 1000, 1000} {
		if k := got.Kinds[i]; k.Count < want*8/10 || k.Count > want*12/10 || k.Bytes != 100*k.Count {
			t.Errorf("%+v, want about %d", k, want)
		}
	}
}
