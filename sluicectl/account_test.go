package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sluicehq/sluice/internal/ops/replay"
	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/inbox"
	"github.com/sluicehq/sluice/pkg/telemetry"
	"github.com/sluicehq/sluice/pkg/worker"
)

const (
	accountPoison = 100 // one in so many
	accountLate   = 2 * time.Second
	accountAhead  = 32 // live events that no team has begun with: as many as the machine at hand bears
)

// An account is of so many events, those from replayFrom to replayTo replayed.
var accountEvents, replayFrom, replayTo = 10_000, 1001, 3500

func init() {
	if rig.Race {
		accountEvents, replayFrom, replayTo = 4000, 401, 1400
	}
}

// accountTeam is a team that counts its effects by event and replay.
type accountTeam struct {
	name  string
	begun chan struct{} // holds a token for each live event that is not begun with
	mend  atomic.Bool   // from then on no event is poison
	worst atomic.Int64  // longest delay of a live event, in nanoseconds
	in    *inbox.Inbox
}

const accountRows = `CREATE TABLE IF NOT EXISTS effects (identity TEXT NOT NULL, replay TEXT NOT NULL)`

var errPoison = errors.New("cannot digest it")

func (a *accountTeam) handle(ctx context.Context, e *event.Event) error {
	if e.Replay == "" && len(e.Failures) == 0 && event.Redriven(e.Header) == nil {
		a.live(e)
	}
	if e.Sequence%accountPoison == 0 && !a.mend.Load() {
		return errPoison
	}
	return a.in.Once(ctx, e, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO effects (identity, replay) VALUES ($1, $2)`, e.Identity, e.Replay)
		return err
	})
}

// live notes how long an event took to get here.
func (a *accountTeam) live(e *event.Event) {
	delay := int64(time.Since(e.Received))
	for worst := a.worst.Load(); delay > worst && !a.worst.CompareAndSwap(worst, delay); worst = a.worst.Load() {
	}
	select {
	case <-a.begun:
	default: // it came a second time
	}
}

// run works until the test ends.
func (a *accountTeam) run(t *testing.T) {
	t.Helper()
	var err error
	if a.in, err = inbox.Open(t.Context(), a.name, inbox.Settings{Data: dataFolder()}, accountRows); err != nil {
		t.Fatal(err)
	}
	admin, err := telemetry.NewAdmin(a.name, "", "")
	if err != nil {
		t.Fatal(err)
	}
	host := worker.Host{Log: slog.New(slog.DiscardHandler), Admin: admin, Settings: worker.Settings{
		Common: worker.Common{NATSURL: os.Getenv("NATS_URL")}, Concurrency: 16, Timeout: time.Minute, Attempts: 3, BackoffMin: 10 * time.Millisecond, BackoffMax: 100 * time.Millisecond,
	}}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := host.Run(ctx, worker.Team{Name: a.name, Events: []string{"pbx.>"}}, a.handle); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { stop(); running.Wait(); _ = a.in.Close() })
}

// rows counts effects, and those that happened more than once.
func (a *accountTeam) rows(t *testing.T, replay string) (n, doubled int) {
	t.Helper()
	row := a.in.DB().QueryRowContext(t.Context(), `SELECT COALESCE(SUM(n), 0), COALESCE(SUM(n - 1), 0) FROM (SELECT COUNT(*) AS n FROM effects WHERE replay = $1 GROUP BY identity)`, replay)
	if err := row.Scan(&n, &doubled); err != nil {
		t.Fatal(err)
	}
	return n, doubled
}

// live stores events as the gateway does, as fast as both teams begin with them, and calls after for each.
func (g *stage) live(teams []*accountTeam, after func(n int)) {
	publisher, err := stream.NewPublisher(g.js.Conn())
	if err != nil {
		g.t.Error(err)
		return
	}
	defer publisher.Close()
	var waiting sync.WaitGroup
	for n := 1; n <= accountEvents; n++ {
		for _, team := range teams {
			team.begun <- struct{}{}
		}
		h := nats.Header{}
		h.Set(event.HeaderID, fmt.Sprintf("delivery-%d/0123456789abcdef", n))
		h.Set(event.HeaderReceived, time.Now().UTC().Format(time.RFC3339Nano))
		waiting.Add(1)
		publisher.Publish([]*stream.Outgoing{{
			Msg: &nats.Msg{Subject: event.Subject("zorio", "pbx.call.hangup"), Header: h, Data: []byte(`{}`)}, Deadline: time.Now().Add(time.Minute),
			Settle: func(_ stream.Ack, err error) {
				if err != nil {
					g.t.Error(err)
				}
				waiting.Done()
			},
		}})
		after(n)
	}
	waiting.Wait()
}

// watchStalls returns what tells for how long, at most, this process was not let run when it wanted to.
func watchStalls(t *testing.T) func() time.Duration {
	var worst atomic.Int64
	ctx, stop := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() {
		const nap = 5 * time.Millisecond
		for ctx.Err() == nil {
			begin := time.Now()
			time.Sleep(nap)
			worst.Store(max(worst.Load(), int64(time.Since(begin)-nap)))
		}
	})
	t.Cleanup(func() { stop(); watching.Wait() })
	return func() time.Duration { return time.Duration(worst.Load()) }
}

// run is a command that has to succeed.
func (g *stage) run(args string) {
	g.t.Helper()
	if stdout, stderr, code := g.ctl(g.t.Context(), "", strings.Fields(args)...); code != 0 {
		g.t.Errorf("%s: exit code %d\n%s%s", args, code, stdout, stderr)
	}
}

// replayHalfWay begins a replay and interrupts it in the middle. It returns its id.
func (g *stage) replayHalfWay() string {
	ctx, interrupt := context.WithCancel(g.t.Context())
	defer interrupt()
	root, _ := newRoot()
	root.SetArgs(strings.Fields(fmt.Sprintf("replay --team pbx --from %d --to %d --rate %d --yes", replayFrom, replayTo, (replayTo-replayFrom)/3)))
	root.SetOut(io.Discard)
	root.SetErr(io.Discard)
	ended := make(chan error, 1)
	go func() { ended <- root.ExecuteContext(ctx) }()
	journal, err := replay.OpenJournal(g.t.Context(), g.js)
	if err != nil {
		g.t.Fatal(err)
	}
	id := ""
	rig.Eventually(g.t, time.Minute, "the replay is half-way", func() bool {
		entries, err := journal.List(g.t.Context())
		if err != nil || len(entries) == 0 {
			return false
		}
		id = entries[0].ID
		return entries[0].Progress.Replayed > (replayTo-replayFrom)/5
	})
	interrupt()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "interrupted") {
		g.t.Errorf("the replay was not interrupted: %v", err)
	}
	return id
}

// 10,000 events, one in a hundred of them poison to one team. In the middle a range is replayed to it, interrupted and
// resumed, and its dead letters are redriven after the handler was mended.
func TestAReplayAndARedriveBalance(t *testing.T) {
	g := newStage(t)
	pbx := &accountTeam{name: "pbx", begun: make(chan struct{}, accountAhead)}
	other := &accountTeam{name: "other", begun: make(chan struct{}, accountAhead)}
	other.mend.Store(true)
	pbx.run(t)
	other.run(t)
	rig.Eventually(t, time.Minute, "both teams work", func() bool {
		stdout, _, _ := g.ctl(t.Context(), "", "teams", "--sample", "0", "-o", "json")
		return strings.Count(stdout, `"listening": true`) == 2
	})

	stalled := watchStalls(t)
	third, half := make(chan struct{}), make(chan struct{})
	var published sync.WaitGroup
	published.Go(func() {
		g.live([]*accountTeam{pbx, other}, func(n int) {
			switch n {
			case accountEvents * 2 / 5:
				close(third)
			case accountEvents * 3 / 5:
				close(half)
			}
		})
	})
	<-third
	calm := max(pbx.worst.Swap(0), other.worst.Swap(0))
	id := g.replayHalfWay()
	<-half
	pbx.mend.Store(true)
	g.run("replay resume --yes " + id)
	g.run("dead redrive --all --yes")
	published.Wait()
	rig.Eventually(t, 3*time.Minute, "everything is settled", func() bool {
		if g.messages(stream.Dead) > 0 { // what died between its replay and the mending
			g.run("dead redrive --all --yes")
		}
		stdout, _, _ := g.ctl(t.Context(), "", "teams", "--sample", "0", "-o", "json")
		return strings.Count(stdout, `"lag": 0`) == 2 && g.messages(stream.Retry)+g.messages(stream.Replay)+g.messages(stream.Dead) == 0
	})

	for _, c := range []struct {
		team   *accountTeam
		replay string
		want   int
	}{{pbx, "", accountEvents}, {pbx, id, replayTo - replayFrom + 1}, {other, "", accountEvents}, {other, id, 0}} {
		if n, doubled := c.team.rows(t, c.replay); n != c.want || doubled != 0 {
			t.Errorf("%s, replay %q: %d effects, %d of them again, want %d", c.team.name, c.replay, n, doubled, c.want)
		}
	}
	journal, err := replay.OpenJournal(t.Context(), g.js)
	if err != nil {
		t.Fatal(err)
	}
	e, err := journal.Get(t.Context(), id)
	if err != nil || e.State != replay.Done || e.Progress != (replay.Progress{Sequence: uint64(replayTo), Replayed: replayTo - replayFrom + 1}) {
		t.Errorf("the journal says %+v: %v", e, err)
	}
	// On a machine that is late anyway, the replay and the redrive must not make it much worse.
	late := max(accountLate, 20*time.Duration(calm)) + stalled()
	if worst := time.Duration(max(pbx.worst.Load(), other.worst.Load())); worst > late {
		t.Errorf("a live event was delayed by %s beside the replay, and by %s at most before", worst, time.Duration(calm))
	}
}
