package stream

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// numbered stores messages on alternating subjects of a stream.
func numbered(t *testing.T, js jetstream.JetStream, subjects []string, count int) {
	t.Helper()
	for i := range count {
		if _, err := js.PublishMsgAsync(&nats.Msg{Subject: subjects[i%len(subjects)], Data: fmt.Append(nil, i)}); err != nil {
			t.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
}

// into collects sequences.
func into(all *[]uint64) func(*jetstream.RawStreamMsg) error {
	return func(m *jetstream.RawStreamMsg) error {
		*all = append(*all, m.Sequence)
		return nil
	}
}

func TestReadEndsWhereTheStreamEndedWhenItBegan(t *testing.T) {
	t.Parallel()
	_, js := served(t)
	if err := Declare(t.Context(), js, Settings{}); err != nil {
		t.Fatal(err)
	}
	var got []uint64
	if err := Read(t.Context(), js, Events, Range{}, into(&got)); err != nil || got != nil {
		t.Fatalf("an empty stream: %v %v", got, err)
	}
	numbered(t, js, []string{"events.zorio.a", "events.zorio.b"}, 10)
	hour := time.Now().Add(time.Hour)
	for _, c := range []struct {
		Range
		want []uint64
	}{
		{Range{}, []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}},
		{Range{Filters: []string{"events.*.a"}}, []uint64{1, 3, 5, 7, 9}},
		{Range{Filters: []string{"events.*.a"}, To: 4}, []uint64{1, 3}},
		{Range{Filters: []string{"events.*.c"}}, nil},
		{Range{From: 3, To: 5}, []uint64{3, 4, 5}},
		{Range{From: 9, To: 100}, []uint64{9, 10}},
		{Range{From: 11}, nil},
		{Range{Since: hour}, nil},
		{Range{From: 10, HeadersOnly: true}, []uint64{10}},
	} {
		got = nil
		err := Read(t.Context(), js, Events, c.Range, func(m *jetstream.RawStreamMsg) error {
			if (len(m.Data) == 0) != c.HeadersOnly {
				t.Errorf("%+v: the body has %d bytes", c.Range, len(m.Data))
			}
			return into(&got)(m)
		})
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v, want %v: %v", c.Range, got, c.want, err)
		}
	}
	got = nil
	err := Read(t.Context(), js, Events, Range{}, func(m *jetstream.RawStreamMsg) error {
		numbered(t, js, []string{"events.zorio.a"}, 1) // what comes meanwhile is not read
		return into(&got)(m)
	})
	if err != nil || len(got) != 10 {
		t.Errorf("a stream that goes on: %v %v", got, err)
	}
	stop := errors.New("enough")
	if err := Read(t.Context(), js, Events, Range{}, func(*jetstream.RawStreamMsg) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}
}

func TestScanReadsAWorkQueueBesideItsConsumer(t *testing.T) {
	t.Parallel()
	_, js := served(t)
	if err := Declare(t.Context(), js, Settings{}); err != nil {
		t.Fatal(err)
	}
	numbered(t, js, []string{"replay.pbx.zorio.a", "replay.other.zorio.a"}, 2*scanPage+20)
	if _, err := js.CreateConsumer(t.Context(), Replay, jetstream.ConsumerConfig{Durable: "pbx", FilterSubject: "replay.pbx.>", AckPolicy: jetstream.AckExplicitPolicy}); err != nil {
		t.Fatal(err)
	}
	var got []uint64
	if err := Scan(t.Context(), js, Replay, "replay.pbx.>", into(&got)); err != nil || len(got) != scanPage+10 || got[0] != 1 || got[1] != 3 {
		t.Errorf("%d messages, %v…: %v", len(got), got[:min(3, len(got))], err)
	}
	for range 2 { // the second time it is gone
		if err := Delete(t.Context(), js, Replay, 1); err != nil {
			t.Error(err)
		}
	}
	if err := Delete(t.Context(), js, Replay, 1_000_000); err != nil {
		t.Error(err)
	}
	got = nil
	if err := Scan(t.Context(), js, Replay, "replay.nobody.>", into(&got)); err != nil || got != nil {
		t.Errorf("%v %v", got, err)
	}
}

func TestReadOutlivesTheServer(t *testing.T) {
	t.Parallel()
	s := StartNats(t, "")
	_, js := connected(t, Options{URL: s.URL()})
	if err := Declare(t.Context(), js, Settings{}); err != nil {
		t.Fatal(err)
	}
	const count = readAhead + 1500 // the rest has to be asked for again
	for range 13 {
		numbered(t, js, []string{"events.zorio.a"}, count/13)
	}
	var got []uint64
	err := Read(t.Context(), js, Events, Range{}, func(m *jetstream.RawStreamMsg) error {
		if m.Sequence == 100 {
			s.Kill()
			s.Restart()
		}
		return into(&got)(m)
	})
	if err != nil || len(got) != count {
		t.Fatalf("%d of %d: %v", len(got), count, err)
	}
	for i, sequence := range got {
		if sequence != uint64(i+1) {
			t.Fatalf("#%d comes after %d others", sequence, i)
		}
	}
}

func TestReadSaysAtOnceWhatIsRefused(t *testing.T) {
	t.Parallel()
	_, js := served(t)
	if err := Declare(t.Context(), js, Settings{}); err != nil {
		t.Fatal(err)
	}
	numbered(t, js, []string{"events.zorio.a"}, 1)
	begin := time.Now()
	err := Read(t.Context(), js, Events, Range{Filters: []string{"events.>", "events.zorio.a"}}, func(*jetstream.RawStreamMsg) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "overlap") || time.Since(begin) > readGiveUp/2 {
		t.Errorf("after %s: %v", time.Since(begin), err)
	}
}
