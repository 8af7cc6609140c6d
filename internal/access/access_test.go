package access_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/access"
	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/telemetry"
	"github.com/sluicehq/sluice/pkg/worker"
)

func TestMain(m *testing.M) { os.Exit(rig.Main(m)) }

// house is a NATS with accounts, and its streams.
type house struct {
	t      *testing.T
	folder access.Folder
	nats   *rig.Nats
	js     jetstream.JetStream // the operator's
}

func newHouse(t *testing.T, teams ...string) *house {
	t.Helper()
	t.Parallel()
	h := &house{t: t, folder: access.Folder(t.TempDir())}
	h.must(h.folder.Make())
	for _, name := range teams {
		h.must(h.folder.Add(access.Team{Name: name, Places: []access.Place{{Durable: name, Events: []string{">"}}}}))
	}
	h.nats = rig.StartNats(t, rig.Include(h.folder.Accounts()))
	h.js = h.connect(access.Operator)
	rig.Declare(t, h.js, stream.Settings{})
	all, err := h.folder.Teams()
	h.must(err)
	for _, t := range all {
		h.must(t.Settle(h.t.Context(), h.js, nil))
	}
	return h
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// connect is a connection as a user or a team.
func (h *house) connect(user string) jetstream.JetStream {
	h.t.Helper()
	nc, err := stream.Connect(h.t.Context(), stream.Options{URL: h.nats.URL(), Creds: h.folder.Seed(user), Log: slog.New(slog.DiscardHandler)})
	h.must(err)
	h.t.Cleanup(nc.Close)
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(time.Second))
	h.must(err)
	return js
}

func TestATeamDoesAllOfItsWorkInItsAccount(t *testing.T) {
	h := newHouse(t, "pbx")
	for _, name := range []string{"good", "twice", "bad"} {
		_, err := h.js.PublishMsg(t.Context(), &nats.Msg{Subject: "events.zorio." + name, Header: nats.Header{event.HeaderID: {name}}})
		h.must(err)
	}
	var done, tries atomic.Int32
	host := worker.Host{Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})), Settings: worker.Settings{
		Common:      worker.Common{NATSURL: h.nats.URL(), NATSCreds: h.folder.Seed("pbx")},
		Concurrency: 4, Timeout: time.Minute, Attempts: 3, BackoffMin: 10 * time.Millisecond, BackoffMax: 20 * time.Millisecond,
	}}
	host.Admin, _ = telemetry.NewAdmin("pbx", "", "")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- host.Run(ctx, worker.Team{Name: "pbx"}, func(_ context.Context, e *event.Event) error {
			switch {
			case e.Name == "bad":
				return worker.Permanent(errors.New("no"))
			case e.Name == "twice" && tries.Add(1) == 1:
				return errors.New("again")
			}
			done.Add(1)
			return nil
		})
	}()
	rig.Eventually(t, 20*time.Second, "all are done", func() bool {
		select {
		case err := <-ended:
			t.Fatal(err)
		default:
		}
		return done.Load() == 2 && rig.Messages(t, h.js, stream.Dead) == 1
	})
	stop()
	h.must(<-ended)
}
