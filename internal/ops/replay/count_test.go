package replay

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sluicehq/sluice/internal/history"
	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

// What is counted without reading is what a survey counts by reading, and a histogram has each event once.
func TestCountingAgreesWithReading(t *testing.T) {
	t.Parallel()
	js := rig.Hub(t, stream.Settings{})
	var middle time.Time
	for i := range 60 {
		name := []string{"pbx.call.hangup", "pbx.call.ringing", "telesales.lead.created"}[i%3]
		header := nats.Header{event.HeaderID: {fmt.Sprintf("id-%d/0123456789abcdef", i)}}
		if _, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: event.Subject("zorio", name), Header: header, Data: []byte("{}")}); err != nil {
			t.Fatal(err)
		}
		if i == 29 {
			middle = time.Now()
			rig.Eventually(t, 5*time.Second, "the clock has moved on", func() bool { return time.Since(middle) > time.Millisecond })
			middle = time.Now()
		}
	}
	for _, s := range []Selection{
		{}, {Events: []string{"pbx.>"}}, {Events: []string{"pbx.call.hangup", "telesales.>"}}, {From: 5, To: 9}, {From: 61}, {Since: middle}, {Until: middle},
		{Since: middle, Events: []string{"pbx.call.ringing"}}, {Delivery: "id-7"}, {Since: time.Now().Add(time.Hour)}, {Until: time.Unix(1, 0)}, {Events: []string{"nothing"}},
	} {
		read, err := s.Survey(t.Context(), js, nil)
		if err != nil {
			t.Fatal(err)
		}
		within, counted, err := s.Count(t.Context(), js)
		if err != nil || counted.Events != read.Events {
			t.Errorf("%+v: counted %d, read %d: %v", s, counted.Events, read.Events, err)
		}
		if again, err := within.Survey(t.Context(), js, nil); err != nil || again.Events != read.Events {
			t.Errorf("%+v: %d within #%d-%d, want %d: %v", s, again.Events, within.From, within.To, read.Events, err)
		}
	}
	first, err := stream.Get(t.Context(), js, stream.Events, 1)
	if err != nil {
		t.Fatal(err)
	}
	bars, err := Histogram(t.Context(), js, first.Time, time.Now(), 7)
	if err != nil || len(bars) != 7 {
		t.Fatalf("%+v %v", bars, err)
	}
	total := uint64(0)
	for _, b := range bars {
		total += b.Events
	}
	if total != 60 {
		t.Errorf("%d events in %+v", total, bars)
	}
	if bars, err = Histogram(t.Context(), js, time.Now().Add(time.Hour), time.Now().Add(2*time.Hour), 3); err != nil || bars[0].Events+bars[1].Events+bars[2].Events != 0 {
		t.Errorf("the future: %+v %v", bars, err)
	}
}

func TestAHistoryTellsWhatATeamHasProcessed(t *testing.T) {
	t.Parallel()
	js := rig.Hub(t, stream.Settings{})
	for i := range 100 {
		if _, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: event.Subject("zorio", "pbx.a"), Header: nats.Header{event.HeaderID: {fmt.Sprint(i)}}}); err != nil {
			t.Fatal(err)
		}
	}
	for sequence, outcome := range map[uint64]history.Outcome{3: history.Processed, 70: history.Skipped, 71: history.Dead, 100: history.Processed} {
		if err := history.Write(t.Context(), js, history.Entry{Team: "pbx", Sequence: sequence, At: time.Now(), Outcome: outcome}); err != nil {
			t.Fatal(err)
		}
	}
	told, err := ToldBy(t.Context(), js, "pbx", 2, 99)
	if err != nil || told.Count() != 2 {
		t.Fatalf("%v", err)
	}
	left, err := told.Missing(t.Context(), []*event.Event{{Sequence: 1}, {Sequence: 3}, {Sequence: 4}, {Sequence: 70}, {Sequence: 71}, {Sequence: 1000}})
	if err != nil || len(left) != 4 || left[0].Sequence != 1 || left[1].Sequence != 4 || left[2].Sequence != 71 || left[3].Sequence != 1000 {
		t.Errorf("%+v %v", left, err)
	}
	if _, err := ToldBy(t.Context(), js, "nobody", 1, 10); err != nil {
		t.Errorf("%v", err)
	}
}
