package replay

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// queued are the copies in REPLAY.
func queued(t *testing.T, js jetstream.JetStream) (copies []*event.Event) {
	t.Helper()
	err := stream.Scan(t.Context(), js, stream.Replay, "replay.>", func(m *jetstream.RawStreamMsg) error {
		e, err := event.Parse(m.Subject, m.Header, m.Data)
		copies = append(copies, e)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return copies
}

func begin(t *testing.T, js jetstream.JetStream, e Entry) *Record {
	t.Helper()
	journal, err := OpenJournal(t.Context(), js)
	if err != nil {
		t.Fatal(err)
	}
	survey, err := e.Selection.Survey(t.Context(), js, nil)
	if err != nil {
		t.Fatal(err)
	}
	e.Events, e.First, e.Last = survey.Events, survey.First, survey.Last
	r, err := journal.Begin(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// do runs a record to its team.
func do(ctx context.Context, t *testing.T, js jetstream.JetStream, r *Record, step func(Progress)) error {
	t.Helper()
	target, err := NewTeam(js, r.Entry().Team, r.Entry().ID)
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	return Do(ctx, js, r, Run{Target: target}, step)
}

func nothing(Progress) {}

func TestASelectionIsWhatWasAskedFor(t *testing.T) {
	js := rig.Hub(t, stream.Settings{})
	rig.Store(t, js, 3, "pbx.call.hangup")
	middle := time.Now()
	rig.Store(t, js, 3, "pbx.call.ringing")
	rig.Store(t, js, 3, "telesales.lead.created")
	for name, c := range map[string]struct {
		Selection
		want string
	}{
		"all":          {Selection{}, "9 1 9"},
		"one pattern":  {Selection{Events: []string{"pbx.>"}}, "6 1 6"},
		"overlapping":  {Selection{Events: []string{"pbx.>", "*.call.ringing", "telesales.lead.created"}}, "9 1 9"},
		"since":        {Selection{Since: middle}, "6 4 9"},
		"until":        {Selection{Until: middle}, "3 1 3"},
		"sequences":    {Selection{From: 2, To: 4}, "3 2 4"},
		"both":         {Selection{From: 2, Since: middle}, "6 4 9"},
		"delivery":     {Selection{Delivery: "pbx.call.ringing-1"}, "1 5 5"},
		"nothing":      {Selection{Events: []string{"autocall.>"}}, "0 0 0"},
		"the future":   {Selection{Since: time.Now().Add(time.Hour)}, "0 0 0"},
		"from too far": {Selection{From: 100}, "0 0 0"},
	} {
		v, err := c.Survey(t.Context(), js, nil)
		if got := fmt.Sprint(v.Events, v.First, v.Last); got != c.want || err != nil {
			t.Errorf("%s: %s, want %s: %v", name, got, c.want, err)
		}
	}
}

func TestCopiesGoToOneTeamUnderIDsOfTheirOwn(t *testing.T) {
	js := rig.Hub(t, stream.Settings{})
	rig.Store(t, js, 600, "pbx.call.hangup")
	r := begin(t, js, Entry{Team: "pbx", By: "me@here"})
	if err := do(t.Context(), t, js, r, nothing); err != nil {
		t.Fatal(err)
	}
	copies := queued(t, js)
	if len(copies) != 600 {
		t.Fatalf("%d copies", len(copies))
	}
	for i, c := range copies {
		if c.Replay != r.Entry().ID || c.Sequence != uint64(i+1) || c.Delivery != fmt.Sprintf("pbx.call.hangup-%d", i) || len(c.Body) == 0 {
			t.Fatalf("copy %d: %+v", i, c)
		}
	}
	if e := r.Entry(); e.State != Done || e.Progress != (Progress{Sequence: 600, Replayed: 600}) {
		t.Errorf("%+v", e)
	}
	if _, err := r.journal.Resume(t.Context(), r.Entry().ID, "me"); err == nil || !strings.Contains(err.Error(), "done") {
		t.Errorf("resumed: %v", err)
	}
}

func TestAnInterruptedReplayResumesWhereItWas(t *testing.T) {
	js := rig.Hub(t, stream.Settings{})
	rig.Store(t, js, 1000, "pbx.call.hangup")
	r := begin(t, js, Entry{Team: "pbx", Rate: 5000})
	ctx, interrupt := context.WithCancel(t.Context())
	err := do(ctx, t, js, r, func(p Progress) {
		if p.Replayed >= 500 {
			interrupt()
		}
	})
	if e := r.Entry(); !errors.Is(err, context.Canceled) || e.State != Interrupted || e.Progress.Replayed != 500 {
		t.Fatalf("%v %+v", err, e)
	}
	again, err := r.journal.Resume(t.Context(), r.Entry().ID, "me@here")
	if err != nil {
		t.Fatal(err)
	}
	if err := do(t.Context(), t, js, again, nothing); err != nil {
		t.Fatal(err)
	}
	if e := again.Entry(); e.State != Done || e.Progress != (Progress{Sequence: 1000, Replayed: 1000}) {
		t.Errorf("%+v", e)
	}
	if n := len(queued(t, js)); n != 1000 {
		t.Errorf("%d copies", n)
	}
}

// What a killed process has stored and not written down is sent once more, and the stream knows it.
func TestAnOverlapStoresNothingTwice(t *testing.T) {
	js := rig.Hub(t, stream.Settings{})
	rig.Store(t, js, 700, "pbx.call.hangup")
	r := begin(t, js, Entry{Team: "pbx"})
	if err := do(t.Context(), t, js, r, nothing); err != nil {
		t.Fatal(err)
	}
	r.entry.Progress = Progress{Sequence: 300, Replayed: 300}
	if err := r.write(t.Context(), Running); err != nil {
		t.Fatal(err)
	}
	if err := do(t.Context(), t, js, r, nothing); err != nil {
		t.Fatal(err)
	}
	if e := r.Entry(); e.Progress != (Progress{Sequence: 700, Replayed: 700, Duplicates: 400}) {
		t.Errorf("%+v", e.Progress)
	}
	if n := len(queued(t, js)); n != 700 {
		t.Errorf("%d copies", n)
	}
}

func TestARunningReplayIsStopped(t *testing.T) {
	js := rig.Hub(t, stream.Settings{})
	rig.Store(t, js, 500, "pbx.call.hangup")
	r := begin(t, js, Entry{Team: "pbx", Rate: 50})
	id := r.Entry().ID
	var once sync.Once
	err := do(t.Context(), t, js, r, func(Progress) {
		once.Do(func() {
			if _, err := r.journal.Resume(t.Context(), id, "somebody"); err == nil || !strings.Contains(err.Error(), "is running") {
				t.Errorf("resumed while it runs: %v", err)
			}
			if _, err := r.journal.Stop(t.Context(), id); err != nil {
				t.Error(err)
			}
		})
	})
	e, getErr := r.journal.Get(t.Context(), id)
	if !errors.Is(err, ErrStopped) || getErr != nil || e.State != Stopped || e.Progress.Replayed == 0 || e.Progress.Replayed > 250 {
		t.Fatalf("%v %v %+v", err, getErr, e)
	}
	if n, err := Purge(t.Context(), js, "pbx", id); n != e.Progress.Replayed || err != nil {
		t.Errorf("purged %d of %d: %v", n, e.Progress.Replayed, err)
	}
	if n := len(queued(t, js)); n != 0 {
		t.Errorf("%d copies are left", n)
	}
}

func TestAReplayWhoseProcessWasKilledIsTakenOver(t *testing.T) {
	js := rig.Hub(t, stream.Settings{})
	rig.Store(t, js, 500, "pbx.call.hangup")
	r := begin(t, js, Entry{Team: "pbx", Rate: 100})
	// Another process, as far as the journal can tell: it resumed what it took for dead.
	var once sync.Once
	err := do(t.Context(), t, js, r, func(Progress) {
		once.Do(func() {
			_, revision, err := r.journal.get(t.Context(), r.entry.ID)
			if err != nil {
				t.Error(err)
			}
			if _, err := r.journal.bucket.Update(t.Context(), r.entry.ID, []byte(`{"state":"running","owner":"another"}`), revision); err != nil {
				t.Error(err)
			}
		})
	})
	if !errors.Is(err, ErrTaken) {
		t.Errorf("%v", err)
	}
	old := &Entry{State: Running, Updated: time.Now().Add(-2 * silence)}
	if old.lookAlive(time.Now()).State != Interrupted {
		t.Error("one that has not been written for long is running")
	}
}

// NATS went away between a write and its answer: the entry is newer than this process knows, and its own.
func TestAWriteWhoseAnswerWasLostIsWrittenAgain(t *testing.T) {
	js := rig.Hub(t, stream.Settings{})
	rig.Store(t, js, 1, "pbx.call.hangup")
	r := begin(t, js, Entry{Team: "pbx"})
	known := r.revision
	if err := r.write(t.Context(), Running); err != nil {
		t.Fatal(err)
	}
	r.revision = known
	if err := r.end(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if e, err := r.journal.Get(t.Context(), r.Entry().ID); err != nil || e.State != Done {
		t.Errorf("%+v %v", e, err)
	}
}

func TestOnlyWhatIsMissing(t *testing.T) {
	js := rig.Hub(t, stream.Settings{})
	rig.Store(t, js, 600, "pbx.call.hangup")
	odd := func(_ context.Context, events []*event.Event) (left []*event.Event, err error) {
		for _, e := range events {
			if e.Sequence%2 == 1 {
				left = append(left, e)
			}
		}
		return left, nil
	}
	v, err := Selection{}.Survey(t.Context(), js, odd)
	if err != nil || v.Events != 600 || v.Handled != 300 {
		t.Fatalf("%+v %v", v, err)
	}
	r := begin(t, js, Entry{Team: "pbx", OnlyMissing: true})
	target, err := NewTeam(js, "pbx", r.Entry().ID)
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	if err := Do(t.Context(), js, r, Run{Target: target, Missing: odd}, nothing); err != nil {
		t.Fatal(err)
	}
	if p := r.Entry().Progress; p != (Progress{Sequence: 600, Replayed: 300, Skipped: 300}) || len(queued(t, js)) != 300 {
		t.Errorf("%+v", p)
	}
}

// go test -run '^$' -bench Replay -benchtime 100000x ./internal/ops/replay: to a team, on a server that syncs every write. The
// floor is reading the same events and leaving them alone.
func BenchmarkReplay(b *testing.B) {
	js := rig.Hub(b, stream.Settings{})
	for left := b.N; left > 0; left -= 4000 {
		rig.Store(b, js, min(left, 4000), fmt.Sprintf("pbx.n%d", left))
	}
	begin := time.Now()
	floor := Run{Target: nowhere{}}
	if err := floor.Play(b.Context(), js, nothing); err != nil {
		b.Fatal(err)
	}
	read := time.Since(begin)
	target, err := NewTeam(js, "pbx", "bench")
	if err != nil {
		b.Fatal(err)
	}
	defer target.Close()
	b.ReportAllocs()
	b.ResetTimer()
	run := Run{Target: target}
	if err := run.Play(b.Context(), js, nothing); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(b.Elapsed().Seconds()/read.Seconds(), "times-reading")
}

// nowhere takes everything.
type nowhere struct{}

func (nowhere) Deliver(_ context.Context, batch []*event.Event) (Outcome, error) {
	return Outcome{Replayed: len(batch)}, nil
}
