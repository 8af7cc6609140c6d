package team

import (
	"errors"
	"fmt"
	"slices"
	"strings"
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

func durable(t *testing.T, js jetstream.JetStream, c jetstream.ConsumerConfig) jetstream.Consumer {
	t.Helper()
	c.AckPolicy = jetstream.AckExplicitPolicy
	made, err := js.CreateConsumer(t.Context(), stream.Events, c)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func publish(t *testing.T, js jetstream.JetStream, subjects ...string) {
	t.Helper()
	for _, subject := range subjects {
		if _, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: subject}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTeamsAreTheDurablesOfEVENTS(t *testing.T) {
	js := rig.Hub(t, stream.Settings{})
	if _, err := Find(t.Context(), js, "pbx"); !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "no team has started yet") {
		t.Errorf("%v", err)
	}
	durable(t, js, jetstream.ConsumerConfig{Durable: "pbx", FilterSubjects: []string{"events.*.pbx.>", "events.*.fax.*"}})
	durable(t, js, jetstream.ConsumerConfig{Durable: "all"})
	durable(t, js, jetstream.ConsumerConfig{Durable: "one", FilterSubject: "events.*.pbx.call.hangup"})
	for name, want := range map[string][]string{"pbx": {"pbx.>", "fax.*"}, "all": {">"}, "one": {"pbx.call.hangup"}} {
		found, err := Find(t.Context(), js, name)
		if err != nil || !slices.Equal(found.Events, want) || !found.Takes("pbx.call.hangup") || found.Takes("fax.page.received") != (name == "all") {
			t.Errorf("%s: %+v %v", name, found, err)
		}
	}
	if _, err := Find(t.Context(), js, "nobody"); !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "use all, one, pbx") {
		t.Errorf("%v", err)
	}
}

func TestAStatusCountsWhatIsNotSettled(t *testing.T) {
	js := rig.Hub(t, stream.Settings{MaxAge: time.Hour})
	pbx := durable(t, js, jetstream.ConsumerConfig{Durable: "pbx", FilterSubjects: []string{"events.*.pbx.>"}})
	publish(t, js, event.Subject("zorio", "fax.page"), event.Subject("zorio", "pbx.a"), event.Subject("zorio", "pbx.b"), event.Subject("zorio", "pbx.c"),
		event.DeadSubject("pbx", "zorio", "pbx.z"), event.DeadSubject("other", "zorio", "pbx.z"), event.ReplaySubject("pbx", "zorio", "pbx.z"))
	for i := range 3 {
		m := nats.NewMsg(event.WaitSubject("pbx", fmt.Sprintf("EVENTS.%d", i)))
		m.Header.Set("Nats-Schedule", "@at "+time.Now().Add(time.Hour).UTC().Format(time.RFC3339Nano))
		m.Header.Set("Nats-Schedule-Target", event.RetrySubject("pbx", "zorio", "pbx.z"))
		if _, err := js.PublishMsg(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	batch, err := pbx.Fetch(2)
	if err != nil {
		t.Fatal(err)
	}
	if err := (<-batch.Messages()).DoubleAck(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-batch.Messages()
	all, err := Statuses(t.Context(), js, 10*time.Millisecond)
	if err != nil || len(all) != 1 {
		t.Fatalf("%v %v", all, err)
	}
	s := all[0]
	if s.Lag != 2 || s.InFlight != 1 || s.Retrying != 3 || s.Replaying != 1 || s.Dead != 1 || s.Rate == nil || *s.Rate != 0 || !s.Listening || !s.NoReplays {
		t.Errorf("%+v", s)
	}
	second, err := stream.Get(t.Context(), js, stream.Events, 3)
	if err != nil || s.Oldest == nil || !s.Oldest.Equal(second.Time) || !s.AtRisk() || *s.DroppedIn < 3500 {
		t.Errorf("%+v: the oldest is of %v: %v", s, second, err)
	}
}

func TestPositions(t *testing.T) {
	js := rig.Hub(t, stream.Settings{})
	publish(t, js, event.Subject("zorio", "pbx.a"))
	fresh := durable(t, js, jetstream.ConsumerConfig{Durable: "fresh", DeliverPolicy: jetstream.DeliverNewPolicy})
	publish(t, js, event.Subject("zorio", "pbx.b"), event.Subject("zorio", "pbx.c"), event.Subject("zorio", "pbx.d"))
	batch, err := fresh.Fetch(2)
	if err != nil {
		t.Fatal(err)
	}
	if err := (<-batch.Messages()).DoubleAck(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-batch.Messages()
	team, err := Find(t.Context(), js, "fresh")
	if err != nil {
		t.Fatal(err)
	}
	for sequence, want := range map[uint64]Position{1: Before, 2: Settled, 3: InFlight, 4: Waiting} {
		m, err := stream.Get(t.Context(), js, stream.Events, sequence)
		if err != nil {
			t.Fatal(err)
		}
		if got := team.Position(sequence, m.Time); got != want {
			t.Errorf("#%d: %d, want %d", sequence, got, want)
		}
	}
}
