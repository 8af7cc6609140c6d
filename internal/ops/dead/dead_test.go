package dead

import (
	"errors"
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

// bury stores the dead letters of n events.
func bury(t *testing.T, js jetstream.JetStream, team, name, reason string, n int) {
	t.Helper()
	for i := range n {
		e := (&event.Event{Source: "zorio", Name: name, Identity: fmt.Sprintf("%s-%d/0123456789abcdef", name, i), Sequence: uint64(i + 1), Attempt: 1}).Failed(time.Now(), errors.New("poison"))
		header := nats.Header(e.Copy())
		header.Set(event.HeaderReason, reason)
		header.Set(event.HeaderError, "poison")
		if _, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: event.DeadSubject(team, "zorio", name), Header: header, Data: []byte("{}")}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestASelectionIsRedrivenToItsTeamsAndNobodyElse(t *testing.T) {
	js := rig.Hub(t, stream.Settings{})
	bury(t, js, "pbx", "pbx.call.hangup", "permanent", 3)
	bury(t, js, "pbx", "pbx.call.ringing", "exhausted", 300)
	bury(t, js, "telesales", "telesales.lead.created", "exhausted", 2)
	for _, c := range []struct {
		Selection
		want int
	}{
		{Selection{Events: []string{"nothing.>"}}, 0},
		{Selection{Team: "telesales", Reason: "permanent"}, 0},
		{Selection{Team: "pbx", Reason: "exhausted"}, 300},
		{Selection{Events: []string{"pbx.call.hangup", "pbx.>"}, Delivery: "pbx.call.hangup-1"}, 1},
		{Selection{Sequence: 1}, 1},
		{Selection{}, 3},
	} {
		steps := make(chan struct{}, 1000)
		result, err := RedriveAll(t.Context(), js, c.Selection, "ops@desk", 0, func(*Letter) { steps <- struct{}{} })
		if err != nil || result != (Result{Done: c.want}) || len(steps) != c.want {
			t.Errorf("%+v: %+v, %d steps, want %d: %v", c.Selection, result, len(steps), c.want, err)
		}
	}
	if left := rig.Messages(t, js, stream.Dead); left != 0 {
		t.Errorf("%d letters are left", left)
	}
	teams := map[string]int{}
	err := stream.Scan(t.Context(), js, stream.Replay, "replay.>", func(m *jetstream.RawStreamMsg) error {
		e, err := event.Parse(m.Subject, m.Header, m.Data)
		if err != nil || e.Attempt != 0 || e.Replay != "" || e.Identity == "" || string(e.Body) != "{}" {
			t.Errorf("%s: %+v %v", m.Subject, e, err)
		}
		teams[m.Subject[:len("replay.pbx")]]++
		return nil
	})
	if err != nil || teams["replay.pbx"] != 303 || teams["replay.tel"] != 2 {
		t.Errorf("%v %v", teams, err)
	}
}

// A crash between the acknowledgement of the copy and the removal of the letter leaves both.
func TestRedrivingAgainAfterACrashDoublesNothing(t *testing.T) {
	js := rig.Hub(t, stream.Settings{})
	bury(t, js, "pbx", "pbx.call.hangup", "permanent", 1)
	l, err := Get(t.Context(), js, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.PublishMsg(t.Context(), l.redriven(time.Now(), "ops@desk")); err != nil { // and here it is killed
		t.Fatal(err)
	}
	if duplicate, untold, err := Redrive(t.Context(), js, l, "ops@desk"); !duplicate || untold != nil || err != nil {
		t.Errorf("duplicate %v: %v", duplicate, err)
	}
	if copies, left := rig.Messages(t, js, stream.Replay), rig.Messages(t, js, stream.Dead); copies != 1 || left != 0 {
		t.Errorf("%d copies, %d letters", copies, left)
	}
	if _, err := Get(t.Context(), js, 1); !errors.Is(err, ErrNotFound) {
		t.Errorf("%v", err)
	}
	if gone, _, err := Drop(t.Context(), js, l, "ops@desk"); err != nil || !gone {
		t.Errorf("one that is gone: %v", err)
	}
}

// Without an acknowledgement of the copy the letter stays.
func TestALetterIsNotRemovedUnlessItsCopyIsStored(t *testing.T) {
	js := rig.Hub(t, stream.Settings{})
	bury(t, js, "pbx", "pbx.call.hangup", "permanent", 3)
	if err := js.DeleteStream(t.Context(), stream.Replay); err != nil {
		t.Fatal(err)
	}
	if result, err := RedriveAll(t.Context(), js, Selection{}, "ops@desk", 0, func(*Letter) {}); err == nil || result.Done != 0 {
		t.Errorf("%+v %v", result, err)
	}
	if left := rig.Messages(t, js, stream.Dead); left != 3 {
		t.Errorf("%d letters are left", left)
	}
}
