package team

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

func one(t *testing.T, js jetstream.JetStream, name string) *Status {
	t.Helper()
	all, err := Statuses(t.Context(), js, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if s.Team == name {
			return s
		}
	}
	t.Fatalf("there is no team %s", name)
	return nil
}

func TestATeamsStateIsWhatItsProcessesSay(t *testing.T) {
	now := time.Now()
	said := func(state State, why string, ago time.Duration) *Process {
		return &Process{Host: "h", PID: 7, State: state, Why: why, Since: now.Add(-time.Hour), Said: now.Add(-ago)}
	}
	for name, c := range map[string]struct {
		processes    []*Process
		asking, held int
		state        State
		why          string
	}{
		"none was ever heard of":            {nil, 0, 0, NoProcess, ""},
		"an older version asks":             {nil, 1, 0, Working, ""},
		"an older version is at work":       {nil, 0, 3, Working, ""},
		"one works":                         {[]*Process{said(Working, "", 0)}, 0, 0, Working, ""},
		"one is blocked":                    {[]*Process{said(Blocked, "no database", 0)}, 1, 0, Blocked, "no database"},
		"one of two is blocked":             {[]*Process{said(Blocked, "no database", 0), said(Working, "", 0)}, 1, 0, Blocked, "1 of 2 processes: no database"},
		"one hangs, one is blocked":         {[]*Process{said(Blocked, "no database", 0), said(Hung, "stuck", 0)}, 0, 0, Hung, "1 of 2 processes: stuck"},
		"it was stopped":                    {[]*Process{said(Stopped, "", time.Minute)}, 0, 0, NoProcess, "process 7 on h was stopped"},
		"stopped, and another works":        {[]*Process{said(Stopped, "", 0), said(Working, "", 0)}, 0, 0, Working, ""},
		"stopped, and an older version":     {[]*Process{said(Stopped, "", 0)}, 1, 0, Working, ""},
		"killed or hanging, and holds some": {[]*Process{said(Working, "", time.Minute)}, 0, 3, NoProcess, "nothing is heard of process 7 on h, which is dead or hangs"},
	} {
		team := &Team{info: &jetstream.ConsumerInfo{TimeStamp: now, NumWaiting: c.asking, NumAckPending: c.held}}
		if got := team.judge(c.processes); got.State != c.state || got.Why != c.why {
			t.Errorf("%s: %+v, want %s, %s", name, got, c.state, c.why)
		}
	}
}

func TestABacklogsWayIsMeasured(t *testing.T) {
	measure := func(lag uint64, given uint64, held int, asking int) *Team {
		return &Team{info: &jetstream.ConsumerInfo{NumPending: lag - uint64(held), NumAckPending: held, NumWaiting: asking, Delivered: jetstream.SequenceInfo{Consumer: given}}}
	}
	for name, c := range map[string]struct {
		before, after *Team
		state         State
		why           string
	}{
		"at the end":                 {measure(0, 100, 0, 1), measure(5, 300, 0, 1), Working, ""},
		"a second behind":            {measure(150, 100, 50, 1), measure(200, 250, 50, 1), Working, ""},
		"a backlog that shrinks":     {measure(10_000, 0, 0, 1), measure(9_000, 1_200, 0, 1), CatchingUp, "9s left"},
		"a backlog that grows":       {measure(10_000, 0, 0, 1), measure(10_032, 100, 0, 1), FallingBehind, "by 32/s"},
		"nobody takes of a backlog":  {measure(10_000, 50, 0, 0), measure(10_000, 50, 0, 0), Hung, "its processes ask for nothing"},
		"it is given out, unsettled": {measure(10_000, 50, 9, 0), measure(10_000, 50, 9, 0), Working, ""},
	} {
		s := &Status{Condition: Condition{State: Working}}
		if s.move(c.before, c.after, 1); s.State != c.state || s.Why != c.why {
			t.Errorf("%s: %s, %s; want %s, %s", name, s.State, s.Why, c.state, c.why)
		}
	}
	blocked := &Status{Condition: Condition{State: Blocked}}
	if blocked.move(measure(10_000, 0, 0, 1), measure(10_032, 100, 0, 1), 1); blocked.State != Blocked {
		t.Errorf("what holds it says more than where its backlog goes: %+v", blocked.Condition)
	}
}

func TestAProcessIsHeardOfUntilItStops(t *testing.T) {
	js := rig.Hub(t, stream.Settings{})
	durable(t, js, jetstream.ConsumerConfig{Durable: "pbx"})
	if s := one(t, js, "pbx"); s.State != NoProcess || s.Why != "" {
		t.Errorf("%+v", s.Condition)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		Report(ctx, js, "pbx", func() Process { return Process{State: Blocked, Why: "no database", Since: time.Now()} })
	}()
	rig.Eventually(t, 10*time.Second, "the team is blocked", func() bool { s := one(t, js, "pbx"); return s.State == Blocked && s.Why == "no database" })
	stop()
	<-ended
	if s := one(t, js, "pbx"); s.State != NoProcess || len(s.Processes) != 1 || s.Processes[0].State != Stopped {
		t.Errorf("%+v", s.Condition)
	}
}

// A pause is NATS's own: it holds whoever asks, and a worker that declares its durable anew does not end it.
func TestAPausedTeamGetsNothingUntilItIsResumed(t *testing.T) {
	js := rig.Hub(t, stream.Settings{})
	want := jetstream.ConsumerConfig{Durable: "pbx", AckPolicy: jetstream.AckExplicitPolicy}
	pbx := durable(t, js, want)
	find := func() *Team {
		team, err := Find(t.Context(), js, "pbx")
		if err != nil {
			t.Fatal(err)
		}
		return team
	}
	for range 2 { // twice is harmless
		if err := find().Pause(t.Context(), js, "ops@desk", time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	publish(t, js, event.Subject("zorio", "pbx.a"))
	if _, err := stream.Durable(t.Context(), js, stream.Events, want, func(jetstream.ConsumerConfig) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if m, err := pbx.Next(jetstream.FetchMaxWait(300 * time.Millisecond)); err == nil {
		t.Errorf("a paused team gets %s", m.Subject())
	}
	if s := one(t, js, "pbx"); s.State != Paused || s.Why != "by ops@desk" || s.Since == nil {
		t.Errorf("%+v", s.Condition)
	}
	for range 2 {
		if err := find().Resume(t.Context(), js); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := pbx.Next(jetstream.FetchMaxWait(10 * time.Second)); err != nil {
		t.Errorf("a team that was resumed gets nothing: %v", err)
	}
	if by, _, paused := find().Paused(); paused || by != "" || find().info.Config.Metadata[pausedBy] != "" {
		t.Error("something of the pause is left")
	}
}

func TestARemovedTeamLeavesItsDeadLettersOnly(t *testing.T) {
	js := rig.Hub(t, stream.Settings{})
	durable(t, js, jetstream.ConsumerConfig{Durable: "pbx"})
	durable(t, js, jetstream.ConsumerConfig{Durable: "other"})
	for _, team := range []string{"pbx", "other"} {
		publish(t, js, event.RetrySubject(team, "zorio", "pbx.a"), event.ReplaySubject(team, "zorio", "pbx.a"), event.DeadSubject(team, "zorio", "pbx.a"))
	}
	team, err := Find(t.Context(), js, "pbx")
	if err != nil {
		t.Fatal(err)
	}
	if err := team.Remove(t.Context(), js); err != nil {
		t.Fatal(err)
	}
	counts, err := countTeams(t.Context(), js, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{stream.Retry, stream.Replay} {
		if counts[name]["pbx"] != 0 || counts[name]["other"] != 1 {
			t.Errorf("%s: %v", name, counts[name])
		}
	}
	if teams, err := All(t.Context(), js); err != nil || len(teams) != 1 || counts[stream.Dead]["pbx"] != 1 {
		t.Errorf("%v %v %v", teams, counts[stream.Dead], err)
	}
}
