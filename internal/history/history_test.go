package history

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func writer(js jetstream.JetStream, team string) (*Writer, *atomic.Int64) {
	lost := &atomic.Int64{}
	return NewWriter(js, team, slog.New(slog.DiscardHandler), func(events int) { lost.Add(int64(events)) }), lost
}

func of(t *testing.T, js jetstream.JetStream, sequence uint64) (all []string) {
	t.Helper()
	entries, err := Of(t.Context(), js, sequence)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, strings.TrimSpace(fmt.Sprintln(e.Team, e.Outcome, e.Attempts, len(e.Failures), e.Replay, e.Note)))
	}
	return all
}

func TestHistoryIsFoundAgain(t *testing.T) {
	js := rig.Hub(t, stream.Settings{})
	w, lost := writer(js, "pbx")
	for n := range uint64(3 * pageSize) {
		w.Add(Entry{Sequence: n + 1, Outcome: Processed, Attempts: 1})
	}
	w.Add(Entry{Sequence: 5000, Outcome: Processed, Attempts: 1, Replay: "r1", Note: "Duplicate"})
	w.Add(Entry{Sequence: 5001, At: time.Now(), Outcome: Dead, Attempts: 2, Failures: []event.Failure{{Error: "a"}, {Error: "b"}}, Reason: "exhausted"})
	w.Close()
	crm, _ := writer(js, "crm")
	crm.Add(Entry{Sequence: 5001, Outcome: Skipped, Attempts: 1})
	crm.Close()
	if err := Write(t.Context(), js, Entry{Team: "pbx", Sequence: 5001, At: time.Now(), Outcome: Dropped, Letter: 1, By: "ops@desk"}); err != nil {
		t.Fatal(err)
	}
	for _, foreign := range []string{"history.foo", "history.pbx.x", "history.pbx.1"} {
		if _, err := js.Publish(t.Context(), foreign, []byte("{")); err != nil {
			t.Fatal(err)
		}
	}
	for sequence, want := range map[uint64][]string{
		1: {"pbx processed 1 0"}, pageSize: {"pbx processed 1 0"}, 3 * pageSize: {"pbx processed 1 0"}, 3*pageSize + 1: nil,
		5000: {"pbx processed 1 0", "pbx processed 1 0 r1 Duplicate"},
		5001: {"crm skipped 1 0", "pbx dead 2 2", "pbx dropped 0 0", "pbx processed 1 0"},
	} {
		got := of(t, js, sequence)
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("#%d: %q, want %q", sequence, got, want)
		}
	}
	if lost.Load() != 0 {
		t.Errorf("%d are lost", lost.Load())
	}
	s, err := js.Stream(t.Context(), stream.History)
	if err != nil {
		t.Fatal(err)
	}
	if state := s.CachedInfo().State; state.Bytes > pageSize {
		t.Errorf("%d events took %d bytes in %d messages", 3*pageSize, state.Bytes, state.Msgs)
	}
}

func TestRanges(t *testing.T) {
	for want, numbered := range map[string][]uint16{"": nil, "0": {0}, "0-12 15": {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 15}, "7 9 11-12": {7, 9, 11, 12}, "3": {3, 3}} {
		got := ranges(numbered)
		if got != want {
			t.Errorf("%v: %q, want %q", numbered, got, want)
		}
		var back []uint16
		numbers(got, func(n uint64) { back = append(back, uint16(n)) })
		if !slices.Equal(back, slices.Compact(numbered)) {
			t.Errorf("%q: %v", got, back)
		}
	}
	numbers("x 5-y 3-99999999999 9-2 -", func(n uint64) { t.Errorf("%d", n) })
}

func TestALongHistoryIsSeveralMessages(t *testing.T) {
	s := &draft{done: map[end][]uint16{}}
	long := []event.Failure{{Error: strings.Repeat("x", 400)}}
	for n := range uint64(2000) {
		s.entries = append(s.entries, Entry{Sequence: n, Outcome: Dead, Failures: long})
	}
	batches := s.seal("pbx", 0)
	events := 0
	for _, b := range batches {
		if events += b.events; len(b.msg.Data) > 2*maxMessage {
			t.Errorf("a message of %d bytes", len(b.msg.Data))
		}
	}
	if events != 2000 || len(batches) < 5 {
		t.Errorf("%d events in %d messages", events, len(batches))
	}
}

func TestAWriterNeverBlocksWhenNATSStoresNothing(t *testing.T) {
	js := rig.Hub(t, stream.Settings{})
	if err := js.DeleteStream(t.Context(), stream.History); err != nil {
		t.Fatal(err)
	}
	w, lost := writer(js, "pbx")
	const events = maxBytes/2 + 1000
	begin := time.Now()
	for n := range uint64(events) {
		w.Add(Entry{Sequence: n + 1, Outcome: Processed, Attempts: 1})
	}
	t.Logf("%d ns an event", time.Since(begin).Nanoseconds()/events)
	if lost.Load() != 1000 {
		t.Errorf("%d are lost at the bound", lost.Load())
	}
	begin = time.Now()
	w.Close()
	if took := time.Since(begin); took > 10*time.Second || lost.Load() != events {
		t.Errorf("the end took %s, and %d of %d are lost", took, lost.Load(), events)
	}
	if _, err := Of(t.Context(), js, 1); err == nil || !strings.Contains(err.Error(), "gateway of this version") {
		t.Errorf("%v", err)
	}
	rig.Declare(t, js, stream.Settings{})
	again, lost := writer(js, "pbx")
	again.Add(Entry{Sequence: 1, Outcome: Processed, Attempts: 1})
	again.Close()
	if got := of(t, js, 1); len(got) != 1 || lost.Load() != 0 {
		t.Errorf("%q, %d lost", got, lost.Load())
	}
}
