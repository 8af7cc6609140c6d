package main

import (
	"context"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/telemetry"
	"github.com/sluicehq/sluice/pkg/worker"
)

// mover is a team that counts how often it processed each delivery.
type mover struct {
	t  *testing.T
	mu sync.Mutex
	of map[string]int
}

// work runs the team until what it returns is called.
func (m *mover) work(url string) (stop func()) {
	m.t.Helper()
	admin, err := telemetry.NewAdmin("mover", "", "")
	if err != nil {
		m.t.Fatal(err)
	}
	host := worker.Host{Log: slog.New(slog.DiscardHandler), Admin: admin, Settings: worker.Settings{
		Common: worker.Common{NATSURL: url, NATSCreds: rig.Credentials(url)}, Concurrency: 16, Timeout: time.Minute, Attempts: 3, BackoffMin: time.Second, BackoffMax: time.Minute,
	}}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		err := host.Run(ctx, worker.Team{Name: "mover"}, m.handle)
		for again := 0; again < 20 && err != nil && strings.Contains(err.Error(), "does not let this user in"); again++ {
			stream.Pause(ctx, 200*time.Millisecond) // as a supervisor starts it: NATS turns away who comes while it takes on accounts
			err = host.Run(ctx, worker.Team{Name: "mover"}, m.handle)
		}
		if err != nil {
			m.t.Error(err)
		}
	})
	var once sync.Once
	stop = func() { once.Do(func() { cancel(); running.Wait() }) }
	m.t.Cleanup(stop)
	return stop
}

func (m *mover) handle(_ context.Context, e *event.Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.of[e.Delivery]++
	return nil
}

func (m *mover) done() map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.of)
}

// From the embedded NATS to a cluster while events come: the migration is killed and goes on, each event is stored once, and
// the team processes each once.
func TestAMigrationLosesAndRepeatsNothing(t *testing.T) {
	t.Parallel()
	cluster := rig.StartNatsCluster(t, 3)
	socket, data := rig.Socket(t), t.TempDir()
	before := rig.StartGateway(t, rig.Launch{Socket: socket, Data: data})
	before.Ready()
	there := cluster.Elected()
	team := &mover{t: t, of: map[string]int{}}
	stop := team.work("nats://" + before.Hub)
	sender := rig.StartSender(t, rig.Sending{URL: before.URL(), Rate: 200})
	rig.Eventually(t, time.Minute, "the team works", func() bool { return len(team.done()) > 100 })

	args := []string{"migrate", "--nats", "nats://" + before.Hub, "--to", cluster.URL(), "--replicas", "3"}
	operator := rig.Environment("NATS_CREDS=" + rig.Credentials("nats://"+before.Hub))
	busy := rig.Start(t, rig.Build(t, "./sluicectl"), append(args, "--dry-run"), operator)
	if busy.Wait(30*time.Second) == 0 {
		t.Errorf("a team takes events, and nothing stands in the way:\n%s", busy.Output())
	}
	stop()
	rig.Eventually(t, time.Minute, "nobody takes events", func() bool {
		dry := rig.Start(t, rig.Build(t, "./sluicectl"), append(args, "--dry-run"), operator)
		return dry.Wait(30*time.Second) == 0
	})
	migration := rig.Start(t, rig.Build(t, "./sluicectl"), append(args, "--yes"), operator)
	migration.WaitFor("EVENTS       copying", time.Minute)
	migration.Kill()
	migration.Start()
	if exit := migration.Wait(2 * time.Minute); exit != 0 {
		t.Fatalf("exit %d:\n%s", exit, migration.Output())
	}

	before.Stop(20 * time.Second)
	after := rig.StartGateway(t, rig.Launch{Socket: socket, Data: data}, "NATS_URL="+cluster.URL(), "SLUICE_REPLICAS=3", "SLUICE_NATS_MONITOR="+cluster.Monitors())
	after.Ready()
	team.work(cluster.URL())
	was := len(sender.Taken())
	rig.Eventually(t, time.Minute, "events come to the cluster", func() bool { return len(sender.Taken()) > was+100 })
	sender.End()
	taken := sender.Taken()
	rig.Eventually(t, 2*time.Minute, "the team has processed all", func() bool { return len(team.done()) >= len(taken) })

	stored := map[string]int{}
	err := stream.Scan(t.Context(), there, stream.Events, ">", func(m *jetstream.RawStreamMsg) error {
		stored[event.DeliveryOf(m.Header.Get(event.HeaderID))]++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	done := team.done()
	for id := range taken {
		if stored[id] != 1 || done[id] != 1 {
			t.Errorf("%s is stored %d times and was processed %d times", id, stored[id], done[id])
		}
	}
	failed := 0
	for _, a := range sender.Attempts() {
		if a.Failed() && a.Took < rig.AnswerWithin { // a longer wait may be the machine's
			failed++
		}
	}
	t.Logf("%d events taken, %d stored, %d failures at the sender\n%s", len(taken), len(stored), failed, migration.Output())
	if failed > 0 {
		t.Errorf("%d failures at the sender", failed)
	}
	if s, err := there.Stream(t.Context(), stream.Events); err != nil || s.CachedInfo().Config.Replicas != 3 || s.CachedInfo().Config.Subjects[0] != "events.>" {
		t.Errorf("%v: %+v", err, s.CachedInfo().Config)
	}
}

// From one NATS to another, with everything that waits: first it fails and is taken back, then it is done.
func TestAMigrationMovesWhatWaitsAndIsTakenBack(t *testing.T) {
	here, there := rig.StartQuickNats(t, ""), rig.StartQuickNats(t, "")
	g := &stage{t: t, js: here.Declared(), data: t.TempDir()}
	for name, value := range map[string]string{"NATS_URL": here.URL(), "NATS_CREDS": "", "REDIS_URL": "", "SLUICE_DATA": g.data, "SUDO_USER": ""} {
		t.Setenv(name, value)
	}
	g.fill()
	if err := stream.MakeRetry(t.Context(), g.js, "pbx"); err != nil {
		t.Fatal(err)
	}
	soon := time.Now().Add(time.Hour).UTC().Format(time.RFC3339Nano)
	for _, m := range []*nats.Msg{
		{Subject: event.WaitSubject("pbx", "one"), Header: nats.Header{"Nats-Schedule": {"@at " + soon}, "Nats-Schedule-Target": {event.RetrySubject("pbx", "zorio", "pbx.call.hangup")}}},
		{Subject: event.RetrySubject("pbx", "zorio", "pbx.call.hangup")},
		{Subject: event.AgainWaitSubject("pbx", "two"), Header: nats.Header{"Nats-Schedule": {"@at " + soon}, "Nats-Schedule-Target": {event.AgainSubject("pbx", "zorio", "pbx.call.hangup")}}},
		{Subject: "replay.pbx.zorio.pbx.call.hangup"},
	} {
		g.publish(m)
	}
	other := rig.JetStream(t, there.URL())
	if _, err := other.CreateStream(t.Context(), jetstream.StreamConfig{Name: stream.Events, Subjects: []string{"events.>"}, AllowDirect: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Publish(t.Context(), "events.zorio.theirs", nil); err != nil {
		t.Fatal(err)
	}
	expect := func(code int, want string, args ...string) {
		t.Helper()
		stdout, stderr, got := g.ctl(t.Context(), "", args...)
		if got != code || !strings.Contains(stdout+stderr, want) {
			t.Fatalf("%v: %d %s%s, want %d %s", args, got, stdout, stderr, code, want)
		}
	}
	move := []string{"migrate", "--to", there.URL()}

	before := subjects(t, g.js)
	expect(0, "RETRY_pbx", append(move, "--dry-run")...)
	if after := subjects(t, g.js); !maps.Equal(before, after) || g.takesEvents() != nil {
		t.Errorf("a dry run changes\n%v to\n%v", before, after)
	}
	expect(1, "--cancel takes the migration back", append(move, "--yes")...)
	if g.takesEvents() == nil {
		t.Error("events are taken while they are moved")
	}
	expect(0, "take events here again", "migrate", "--cancel")
	if err := g.takesEvents(); err != nil {
		t.Errorf("after it was taken back: %v", err)
	}
	expect(0, "streams.release", "audit", "--action", "streams")

	for name := range other.StreamNames(t.Context()).Name() {
		if err := other.DeleteStream(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	before = subjects(t, g.js)
	expect(0, "done: start the gateway", append(move, "--yes")...)
	after := subjects(t, other)
	before["audit.streams.migrate"]++
	for subject, n := range before {
		if subject = strings.TrimPrefix(subject, "held-for-migration."); after[subject] != n && !strings.HasPrefix(subject, stream.Told) {
			t.Errorf("%s: %d messages, and %d on the other side", subject, n, after[subject])
		}
	}
	expect(0, "done: start the gateway", append(move, "--yes")...) // typed again, it finds all of it there
	if g.takesEvents() == nil {
		t.Error("the old streams still take events")
	}

	t.Setenv("NATS_URL", there.URL())
	expect(0, "streams.migrate", "audit", "--action", "streams")
	expect(0, "no such extension", "dead", "list")
	expect(0, "unroutable", "quarantine", "list")
	expect(0, "redrove 1", "dead", "redrive", "1", "--yes")
}

// takesEvents is why no event can be stored, as a gateway does it; nil when one was.
func (g *stage) takesEvents() error {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), 2*time.Second)
	defer cancel()
	_, err := g.js.Publish(ctx, "events.zorio.probe", nil, jetstream.WithRetryAttempts(0))
	return err
}

// subjects are how many messages each subject of all streams has.
func subjects(t *testing.T, js jetstream.JetStream) map[string]uint64 {
	t.Helper()
	all := map[string]uint64{}
	for name := range js.StreamNames(t.Context()).Name() {
		s, err := js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		info, err := s.Info(t.Context(), jetstream.WithSubjectFilter(">"))
		if err != nil {
			t.Fatal(err)
		}
		maps.Copy(all, info.State.Subjects)
	}
	return all
}
