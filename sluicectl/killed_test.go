package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/ops/replay"
	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

// copies counts the copies in REPLAY by the sequence of their event.
func (g *stage) copies() map[uint64]int {
	g.t.Helper()
	counts := map[uint64]int{}
	err := stream.Scan(g.t.Context(), g.js, stream.Replay, "replay.>", func(m *jetstream.RawStreamMsg) error {
		e, err := event.Parse(m.Subject, m.Header, m.Data)
		if err == nil {
			counts[e.Sequence]++
		}
		return err
	})
	if err != nil {
		g.t.Fatal(err)
	}
	return counts
}

// many stores events and makes the team pbx.
func (g *stage) many(count int) {
	g.t.Helper()
	for n := range count {
		m := nats.NewMsg(event.Subject("zorio", "pbx.call.hangup"))
		m.Header.Set(event.HeaderID, fmt.Sprintf("delivery-%d/0123456789abcdef", n))
		if _, err := g.js.PublishMsgAsync(m); err != nil {
			g.t.Fatal(err)
		}
	}
	<-g.js.PublishAsyncComplete()
	g.team("pbx", "pbx.>")
}

// balances fails the test unless each event has exactly one copy.
func (g *stage) balances(events int) {
	g.t.Helper()
	counts := g.copies()
	for sequence := uint64(1); sequence <= uint64(events); sequence++ {
		if counts[sequence] != 1 {
			g.t.Fatalf("#%d has %d copies", sequence, counts[sequence])
		}
	}
}

// theReplay is the newest one.
func (g *stage) theReplay() replay.Entry {
	g.t.Helper()
	journal, err := replay.OpenJournal(g.t.Context(), g.js)
	if err != nil {
		g.t.Fatal(err)
	}
	entries, err := journal.List(g.t.Context())
	if err != nil || len(entries) == 0 {
		return replay.Entry{}
	}
	return *entries[0]
}

func TestAReplayThatIsKilledGoesOnWhereItWas(t *testing.T) {
	const events = 1000
	g := newStage(t)
	g.many(events)
	environment := rig.Environment("NATS_URL="+os.Getenv("NATS_URL"), "SLUICE_DATA="+dataFolder())
	killed := rig.Start(t, rig.Build(t, "./sluicectl"), strings.Fields("replay --team pbx --from 1 --rate 500 --yes"), environment)
	rig.Eventually(t, 20*time.Second, "a third is replayed", func() bool { return g.theReplay().Progress.Replayed > events/3 })
	killed.Kill()

	before := g.theReplay()
	rig.Eventually(t, 20*time.Second, "it counts as interrupted", func() bool { return g.theReplay().State == replay.Interrupted })
	lost := len(g.copies()) - before.Progress.Replayed // what was stored and not written down
	g.run("replay resume --yes " + before.ID)
	g.balances(events)
	if after := g.theReplay(); lost < 0 || after.State != replay.Done || after.Progress != (replay.Progress{Sequence: events, Replayed: events, Duplicates: lost}) {
		t.Errorf("%+v, %d overlapped", after.Progress, lost)
	}
}

func TestAReplayOutlivesNATS(t *testing.T) {
	t.Parallel()
	const events = 1500
	server := rig.StartNats(t, "")
	js := server.Declared()
	g := &stage{t: t, js: js}
	g.many(events)
	environment := rig.Environment("NATS_URL="+server.URL(), "SLUICE_DATA="+t.TempDir())
	replaying := rig.Start(t, rig.Build(t, "./sluicectl"), strings.Fields("replay --team pbx --from 1 --rate 1000 --yes"), environment)
	rig.Eventually(t, 20*time.Second, "a quarter is replayed", func() bool { return g.theReplay().Progress.Replayed > events/4 })
	server.Kill()
	server.Restart()
	if code := replaying.Wait(60 * time.Second); code != exitDone {
		t.Fatalf("exit code %d\n%s", code, replaying.Output())
	}
	rig.Eventually(t, 10*time.Second, "the test is connected again", js.Conn().IsConnected)
	g.balances(events)
}
