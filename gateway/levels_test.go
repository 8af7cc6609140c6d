package main

import (
	"context"
	"log/slog"
	"math"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehq/sluice/gateway/embedded"
	"github.com/sluicehq/sluice/internal/access"
	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

// series are the values that a registry tells, by name and label.
func series(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, family := range families {
		for _, m := range family.Metric {
			name := family.GetName()
			for _, label := range m.Label {
				name += " " + label.GetValue()
			}
			all[name] = m.GetGauge().GetValue()
		}
	}
	return all
}

func TestTheStoreOfTheServerInsideIsBoundedByItsDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server, err := embedded.Start(embedded.Options{Dir: dir, Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Shutdown()
	rig.Guarded(server.URL(), access.In(dir))
	l := &levels{js: rig.JetStream(t, server.URL()), embedded: server}
	account, err := l.js.AccountInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var disk syscall.Statfs_t
	if err := syscall.Statfs(os.TempDir(), &disk); err != nil {
		t.Fatal(err)
	}
	if limit, err := l.storeLimit(account); err != nil || limit < 1<<20 || limit >= int64(disk.Blocks)*disk.Bsize {
		t.Errorf("%d bytes of a disk of %d: %v", limit, int64(disk.Blocks)*disk.Bsize, err)
	}
}

// What operators have to see from outside of the teams' processes: how full everything is, and how far each team.
func TestMetricsSayHowFullTheStreamsAreAndHowFarTheTeams(t *testing.T) {
	t.Parallel()
	n := rig.StartNats(t, "")
	js := rig.JetStream(t, n.URL())
	rig.Declare(t, js, stream.Settings{MaxBytes: 1 << 20})
	durable, err := js.CreateConsumer(t.Context(), stream.Events, jetstream.ConsumerConfig{Durable: "pbx", FilterSubject: event.Filter("pbx.>"), AckPolicy: jetstream.AckExplicitPolicy})
	if err != nil {
		t.Fatal(err)
	}
	for _, subject := range []string{event.Subject("zorio", "pbx.a"), event.Subject("zorio", "pbx.b"), event.Subject("zorio", "pbx.c"), event.Subject("zorio", "fax.a"),
		event.DeadSubject("pbx", "zorio", "pbx.a"), event.RetrySubject("pbx", "zorio", "pbx.a"), event.QuarantineSubject("zorio", "late")} {
		if _, err := js.Publish(t.Context(), subject, []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	batch, err := durable.Fetch(2)
	if err != nil {
		t.Fatal(err)
	}
	if err := (<-batch.Messages()).DoubleAck(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-batch.Messages() // in flight

	registry, l := prometheus.NewRegistry(), &levels{js: js, log: slog.New(slog.DiscardHandler)}
	registry.MustRegister(l)
	if told := series(t, registry); len(told) != 0 {
		t.Errorf("before NATS was asked: %v", told)
	}
	all, err := l.measure(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l.latest.Store(&all)
	told := series(t, registry)
	for name, want := range map[string]float64{
		"sluice_stream_messages EVENTS": 4, "sluice_stream_messages DEAD": 1, "sluice_stream_messages RETRY": 1, "sluice_stream_messages QUARANTINE": 1,
		"sluice_stream_messages REPLAY": 0, "sluice_stream_limit_bytes EVENTS": 1 << 20, "sluice_stream_limit_bytes DEAD": 1 << 30, "sluice_stream_limit_bytes QUARANTINE": math.Inf(1),
		"sluice_store_limit_bytes": math.Inf(1), "sluice_team_lag pbx": 2,
		"sluice_team_dead_letters pbx": 1, "sluice_team_processes pbx": 0, "sluice_team_state working pbx": 1, "sluice_team_state no process pbx": 0,
	} {
		if got, there := told[name]; !there || got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if events, store := told["sluice_stream_bytes EVENTS"], told["sluice_store_bytes"]; events == 0 || store < events {
		t.Errorf("%v bytes in EVENTS, %v in all", events, store)
	}

	if age, left := told["sluice_team_oldest_age_seconds pbx"], told["sluice_team_retention_left_seconds pbx"]; age <= 0 || age > 60 || left <= 0 || left > 7*24*3600 {
		t.Errorf("the oldest event of pbx is %v s old, and dropped in %v s", age, left)
	}

	n.Kill()
	stop := background(func(ctx context.Context) { l.run(ctx, levelsEvery) })
	defer stop()
	rig.Eventually(t, 20*time.Second, "what NATS does not tell any more is not told", func() bool { return len(series(t, registry)) == 0 })
}
