package trace

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/sluicehq/sluice/internal/history"
	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func publish(t *testing.T, js jetstream.JetStream, subject string, header map[string][]string) {
	t.Helper()
	if _, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: subject, Header: header}); err != nil {
		t.Fatal(err)
	}
}

// stored puts an event into EVENTS and returns it.
func stored(t *testing.T, js jetstream.JetStream, identity string) *event.Event {
	t.Helper()
	subject := event.Subject("zorio", "pbx.call.hangup")
	header := map[string][]string{event.HeaderID: {identity}, event.HeaderReceived: {time.Now().UTC().Format(time.RFC3339Nano)}}
	ack, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: subject, Header: header})
	if err != nil {
		t.Fatal(err)
	}
	e, err := event.Parse(subject, header, nil)
	if err != nil {
		t.Fatal(err)
	}
	e.Sequence, e.Attempt = ack.Sequence, 1
	return e
}

func durable(t *testing.T, js jetstream.JetStream, name string) jetstream.Consumer {
	t.Helper()
	c, err := js.CreateConsumer(t.Context(), stream.Events, jetstream.ConsumerConfig{Durable: name, AckPolicy: jetstream.AckExplicitPolicy})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func acknowledge(t *testing.T, c jetstream.Consumer) {
	t.Helper()
	m, err := c.Next()
	if err != nil {
		t.Fatal(err)
	}
	if err := m.DoubleAck(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestALifeHasEveryTeamsOutcome(t *testing.T) {
	js := rig.Hub(t, stream.Settings{})
	e := stored(t, js, "id-1/0123456789abcdef")
	other := stored(t, js, "id-1/another_body_xxx")
	stored(t, js, "id-2/0123456789abcdef")
	for _, name := range []string{"done", "retrying", "own", "dead"} {
		acknowledge(t, durable(t, js, name))
	}
	durable(t, js, "waiting")
	if _, err := durable(t, js, "flying").Next(); err != nil {
		t.Fatal(err)
	}

	failed := e.Failed(time.Now(), errors.New("no such table"))
	due := time.Now().Add(time.Hour).UTC()
	wait := failed.Copy()
	wait["Nats-Schedule"] = []string{"@at " + due.Format(time.RFC3339Nano)}
	wait["Nats-Schedule-Target"] = []string{event.RetrySubject("retrying", "zorio", e.Name)}
	publish(t, js, event.WaitSubject("retrying", "EVENTS.1.dp8wz1mvp8g"), wait)
	if err := stream.MakeRetry(t.Context(), js, "own"); err != nil {
		t.Fatal(err)
	}
	own := maps.Clone(wait)
	own["Nats-Schedule-Target"] = []string{event.AgainSubject("own", "zorio", e.Name)}
	publish(t, js, event.AgainWaitSubject("own", "EVENTS.1.dp8wz1mvp8g"), own)
	letter := failed.Copy()
	letter[event.HeaderReason] = []string{"permanent"}
	publish(t, js, event.DeadSubject("dead", "zorio", e.Name), letter)
	replayed := e.Copy()
	replayed[event.HeaderReplay] = []string{"r1"}
	publish(t, js, event.ReplaySubject("done", "zorio", e.Name), replayed)
	publish(t, js, event.QuarantineSubject("zorio", "late"), map[string][]string{"X-Zorio-Delivery": {"id-1"}})

	life, err := Find(t.Context(), js, Search{Delivery: "id-1", Since: time.Now().Add(-time.Hour)})
	if err != nil || len(life.Events) != 2 || len(life.Quarantine) != 1 {
		t.Fatalf("%+v %v", life, err)
	}
	want := map[string]State{"done": Acknowledged, "retrying": Retrying, "own": Retrying, "dead": Dead, "waiting": Waiting, "flying": InFlight}
	for _, fate := range life.Events[0].Teams {
		if fate.State != want[fate.Team] {
			t.Errorf("%s: %s, want %s", fate.Team, fate.State, want[fate.Team])
		}
		delete(want, fate.Team)
		for _, c := range fate.Copies {
			switch {
			case (fate.Team == "retrying" || fate.Team == "own") && (c.Next == nil || !c.Next.Equal(due) || c.Attempts != 1 || c.Failures[0].Error != "no such table"),
				fate.Team == "dead" && c.Reason != "permanent", fate.Team == "done" && c.Replay != "r1":
				t.Errorf("%s: %+v", fate.Team, c)
			}
		}
	}
	if len(want) > 0 {
		t.Errorf("nothing is said about %v", want)
	}
	if second := life.Events[1]; second.Sequence != other.Sequence || second.Teams[0].State != Waiting {
		t.Errorf("%+v", second)
	}
	m, err := stream.Get(t.Context(), js, stream.Events, e.Sequence)
	if err != nil {
		t.Fatal(err)
	}
	one, err := One(t.Context(), js, m)
	if err != nil || len(one.Partly) > 0 || one.Untold != nil || !reflect.DeepEqual(one.Events[0], life.Events[0]) {
		t.Errorf("one by its sequence: %v\n%+v\n%+v", err, one.Events[0], life.Events[0])
	}
}

// A page is bounded, whatever lies in the streams, and says where it did not look at everything.
func TestOneLooksAtNoMoreThanItsBound(t *testing.T) {
	js := rig.Hub(t, stream.Settings{})
	e := stored(t, js, "id-1/0123456789abcdef")
	before := copyBound
	t.Cleanup(func() { copyBound = before })
	copyBound.Messages = 10
	for range 11 {
		publish(t, js, event.DeadSubject("pbx", "zorio", e.Name), stored(t, js, rand.Text()+"/x").Failed(time.Now(), errors.New("poison")).Copy())
	}
	m, err := stream.Get(t.Context(), js, stream.Events, 1)
	if err != nil {
		t.Fatal(err)
	}
	one, err := One(t.Context(), js, m)
	if err != nil || !slices.Equal(one.Partly, []string{stream.Dead}) {
		t.Errorf("%v %v", err, one.Partly)
	}

	// Where its history says when it died, its letter is found behind any number of others.
	died := time.Now().Add(clocks)
	text, err := json.Marshal(map[string]any{"at": died, "told": []history.Entry{{Sequence: 1, Identity: e.Identity, At: died, Outcome: history.Dead, Attempts: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "history.pbx.0", text); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Millisecond) // the letter is stored after the time that it is looked for
	publish(t, js, event.DeadSubject("pbx", "zorio", e.Name), e.Failed(time.Now(), errors.New("poison")).Copy())
	if one, err = One(t.Context(), js, m); err != nil || len(one.Partly) > 0 || len(one.Events[0].Teams) != 1 || one.Events[0].Teams[0].State != Dead || len(one.Events[0].Teams[0].Copies) != 1 {
		t.Errorf("%v %+v", err, one)
	}
}

func TestWhatIsOlderThanTheSearchIsKnownByItsCopies(t *testing.T) {
	js := rig.Hub(t, stream.Settings{})
	e := stored(t, js, "id-1/0123456789abcdef")
	durable(t, js, "pbx")
	publish(t, js, event.DeadSubject("pbx", "zorio", e.Name), e.Failed(time.Now(), errors.New("poison")).Copy())
	life, err := Find(t.Context(), js, Search{Delivery: "id-1", Since: time.Now().Add(time.Hour)})
	if err != nil || len(life.Events) != 1 || !life.Events[0].Unseen || life.Events[0].Teams[0].State != Dead {
		t.Errorf("%+v %v", life, err)
	}
	life, err = Find(t.Context(), js, Search{Delivery: "id-1", Sequence: 1})
	if err != nil || len(life.Events) != 1 || life.Events[0].Unseen {
		t.Errorf("at its sequence: %+v %v", life, err)
	}
}

// Two events without a Nats-Msg-Id are two events: what became of one says nothing about the other.
func TestEventsWithoutAnIdentityAreToldApart(t *testing.T) {
	js := rig.Hub(t, stream.Settings{})
	var last *event.Event
	for range 2 {
		last = stored(t, js, "")
	}
	durable(t, js, "pbx")
	publish(t, js, event.DeadSubject("pbx", "zorio", last.Name), last.Failed(time.Now(), errors.New("poison")).Copy())
	life, err := Find(t.Context(), js, Search{Since: time.Now().Add(-time.Hour)})
	if err != nil || len(life.Events) != 2 || life.Events[0].Teams[0].State != Waiting || life.Events[1].Teams[0].State != Dead {
		t.Errorf("%+v %v", life, err)
	}
}

// A letter may be older than EVENTS, which counts from 1 again: another event has its sequence now, or none yet.
func TestTheEventThatHasTheSequenceNowIsNoPartOfAnOldLife(t *testing.T) {
	js := rig.Hub(t, stream.Settings{})
	lost := stored(t, js, "old-1/0123456789abcdef")
	further := stored(t, js, "old-2/0123456789abcdef")
	for _, e := range []*event.Event{lost, further} {
		publish(t, js, event.DeadSubject("pbx", "zorio", e.Name), e.Failed(time.Now(), errors.New("poison")).Copy())
	}
	if err := js.DeleteStream(t.Context(), stream.Events); err != nil {
		t.Fatal(err)
	}
	if err := stream.Declare(t.Context(), js, stream.Settings{}); err != nil {
		t.Fatal(err)
	}
	stored(t, js, "new-1/0123456789abcdef")
	telesales := durable(t, js, "telesales")
	acknowledge(t, telesales)
	page := fmt.Appendf(nil, `{"at":%q,"done":[{"outcome":"processed","events":"1"}]}`, time.Now().UTC().Format(time.RFC3339Nano))
	if _, err := js.Publish(t.Context(), "history.telesales.0", page); err != nil {
		t.Fatal(err)
	}
	for _, delivery := range []string{"old-1", "old-2"} {
		life, err := Find(t.Context(), js, Search{Delivery: delivery, Since: time.Now().Add(-time.Hour)})
		if err != nil || len(life.Events) != 1 || !life.Events[0].Former || len(life.Events[0].Teams) != 1 || life.Events[0].Teams[0].State != Dead {
			t.Errorf("%s: %+v %v", delivery, life, err)
		}
	}
	life, err := Find(t.Context(), js, Search{Delivery: "new-1", Since: time.Now().Add(-time.Hour)})
	if err != nil || len(life.Events) != 1 || len(life.Events[0].Teams) != 1 || life.Events[0].Teams[0].State != Processed {
		t.Errorf("%+v %v", life, err)
	}
}
