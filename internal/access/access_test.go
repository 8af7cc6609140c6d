package access_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/sluicehq/sluice/internal/access"
	"github.com/sluicehq/sluice/internal/history"
	"github.com/sluicehq/sluice/internal/ops/dead"
	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/internal/team"
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
func (h *house) connect(user string) jetstream.JetStream { h.t.Helper(); return h.as(user, "") }

func (h *house) as(user, inbox string) jetstream.JetStream {
	h.t.Helper()
	nc, err := stream.Connect(h.t.Context(), stream.Options{URL: h.nats.URL(), Creds: h.folder.Seed(user), InboxPrefix: inbox, Log: slog.New(slog.DiscardHandler)})
	h.must(err)
	h.t.Cleanup(nc.Close)
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(time.Second))
	h.must(err)
	return js
}

// member is a process of a team that is at work with its own credentials.
type member struct {
	done  atomic.Int32
	tries atomic.Int32
	log   rig.Buffer
	stop  func()
}

// work starts a worker whose handler fails "twice" at first, gives up "bad" until it is redriven, and takes the rest.
func (h *house) work(team string) *member {
	h.t.Helper()
	m := &member{}
	host := worker.Host{Log: slog.New(slog.NewTextHandler(&m.log, nil)), Settings: worker.Settings{
		Common:      worker.Common{NATSURL: h.nats.URL(), NATSCreds: h.folder.Seed(team)},
		Concurrency: 4, Timeout: time.Minute, Attempts: 3, BackoffMin: 10 * time.Millisecond, BackoffMax: 20 * time.Millisecond,
	}}
	admin, err := telemetry.NewAdmin(team, "", "")
	h.must(err)
	host.Admin = admin
	ctx, cancel := context.WithCancel(h.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- host.Run(ctx, worker.Team{Name: team}, m.handle) }()
	m.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			h.t.Error(err)
		}
		if h.t.Failed() {
			h.t.Log(m.log.String())
		}
	})
	h.t.Cleanup(m.stop)
	return m
}

func (m *member) handle(_ context.Context, e *event.Event) error {
	switch {
	case e.Name == "bad" && e.Replay == "" && len(e.Header[event.HeaderRedriven]) == 0:
		return worker.Permanent(errors.New("no"))
	case e.Name == "twice" && m.tries.Add(1) == 1:
		return errors.New("again")
	}
	m.done.Add(1)
	return nil
}

func (h *house) happens(names ...string) {
	h.t.Helper()
	for _, name := range names {
		_, err := h.js.PublishMsg(h.t.Context(), &nats.Msg{Subject: "events.zorio." + name, Header: nats.Header{event.HeaderID: {rand.Text()}}})
		h.must(err)
	}
}

func TestATeamDoesAllOfItsWorkInItsAccount(t *testing.T) {
	h := newHouse(t, "pbx", "evil")
	h.happens("good", "twice", "bad")
	h.poison(3)
	m := h.work("pbx")
	var letter *dead.Letter
	rig.Eventually(t, 20*time.Second, "two are done, and one is a dead letter although another team has guessed its id", func() bool {
		h.must(dead.Each(t.Context(), h.js, dead.Selection{Team: "pbx"}, func(l *dead.Letter) error { letter = l; return nil }))
		return m.done.Load() == 2 && letter != nil
	})

	_, _, err := dead.Redrive(t.Context(), h.js, letter, "ops@desk")
	h.must(err)
	rig.Eventually(t, 20*time.Second, "the redriven event is done", func() bool { return m.done.Load() == 3 })

	pbx, err := team.Find(t.Context(), h.js, "pbx")
	h.must(err)
	h.must(pbx.Pause(t.Context(), h.js, "ops@desk", time.Now()))
	h.happens("good")
	h.must(pbx.Resume(t.Context(), h.js))
	rig.Eventually(t, 20*time.Second, "what came during a pause is done", func() bool { return m.done.Load() == 4 })

	rig.Eventually(t, 20*time.Second, "operators see the team at work, with nothing left to do", func() bool {
		all, err := team.Statuses(t.Context(), h.js, 0)
		h.must(err)
		i := slices.IndexFunc(all, func(s *team.Status) bool { return s.Team == "pbx" })
		return all[i].State == team.Working && all[i].Runs && all[i].Lag+all[i].Retrying+all[i].Replaying == 0 && len(all[i].Processes) == 1
	})
	m.stop()
	entries, err := history.Of(t.Context(), h.js, 2)
	h.must(err)
	if len(entries) != 1 || entries[0].Outcome != history.Processed || entries[0].Attempts != 2 {
		t.Errorf("the history of what failed once: %+v", entries)
	}
	if refused := "NATS refused"; strings.Contains(m.log.String(), refused) {
		t.Error(m.log.String())
	}
}

// poison stores, as the hostile team, a dead letter of its own under the id that another's of an event would have.
func (h *house) poison(sequence uint64) {
	h.t.Helper()
	m, err := stream.Get(h.t.Context(), h.js, stream.Events, sequence)
	h.must(err)
	id := fmt.Sprintf("pbx.EVENTS.%d.%s", sequence, strconv.FormatInt(m.Time.UnixNano(), 36))
	_, err = h.connect("evil").PublishMsg(h.t.Context(), &nats.Msg{Subject: "dead.evil.zorio.bad", Header: nats.Header{event.HeaderID: {id}}})
	h.must(err)
}

// A worker that may make nothing waits for its operator, says so, and works without a restart once its place is there.
func TestAWorkerWaitsForTheOperatorWhoMakesItsPlace(t *testing.T) {
	h := newHouse(t)
	late := access.Team{Name: "late", Places: []access.Place{{Durable: "late", Events: []string{"good"}}}}
	h.must(h.folder.Add(late))
	for range 2 { // what a new account imports works from the second reload on
		h.nats.Reload(rig.Include(h.folder.Accounts()))
	}
	h.happens("good", "bad")
	m := h.work("late")
	rig.Eventually(t, 20*time.Second, "it says what it waits for", func() bool {
		return strings.Contains(m.log.String(), "may not create it") && strings.Contains(m.log.String(), "sluicectl team add")
	})
	h.must(late.Settle(t.Context(), h.js, nil))
	rig.Eventually(t, 20*time.Second, "it works", func() bool { return m.done.Load() == 1 })
	rig.Eventually(t, 20*time.Second, "it says that its operator has set other events than it asks for", func() bool {
		return strings.Contains(m.log.String(), "takes the events that its operator has set")
	})
}

// With the rights of a gateway one publishes, makes the streams and reads what is stored, and removes nothing.
func TestAGatewayMayPublishAndNoMore(t *testing.T) {
	h := newHouse(t, "pbx")
	js := h.as(access.Gateway, "_INBOX_gw")
	h.must(stream.Declare(t.Context(), js, stream.Settings{MaxAge: 100 * time.Hour}))
	for _, subject := range []string{"events.zorio.good", "quarantine.zorio.late", "refused.zorio.invalid"} {
		_, err := js.Publish(t.Context(), subject, nil)
		h.must(err)
	}
	read := 0
	h.must(stream.Read(t.Context(), js, stream.Events, stream.Range{HeadersOnly: true}, func(*jetstream.RawStreamMsg) error { read++; return nil }))
	if levels, err := team.Levels(t.Context(), js); err != nil || read != 1 || len(levels) != 1 || levels[0].Lag != 1 {
		t.Errorf("read %d, levels %+v, %v", read, levels, err)
	}
	before := h.state()
	for _, subject := range []string{"$JS.API.STREAM.PURGE.EVENTS", "$JS.API.STREAM.DELETE.DEAD", "$JS.API.STREAM.MSG.DELETE.EVENTS", "$JS.API.CONSUMER.DELETE.EVENTS.pbx",
		"$JS.API.DIRECT.GET.DEAD", "dead.pbx.zorio.x", "replay.pbx.zorio.x", "again.pbx.wait.x", "audit.team.remove", "$JS.ACK.EVENTS.pbx.1.1.1.1.0"} {
		if answer, err := js.Conn().Request(subject, []byte(`{"seq":1}`), 100*time.Millisecond); err == nil {
			t.Errorf("%s: %s", subject, answer.Data)
		}
	}
	if after := h.state(); !slices.Equal(before, after) {
		t.Errorf("before\n  %s\nafter\n  %s", strings.Join(before, "\n  "), strings.Join(after, "\n  "))
	}
}

func TestAMonitorLooksAndChangesNothing(t *testing.T) {
	h := newHouse(t, "pbx")
	h.happens("good")
	js := h.connect(access.Monitor)
	all, err := team.Statuses(t.Context(), js, 0)
	if err != nil || len(all) != 1 || all[0].Lag != 1 {
		t.Errorf("%+v, %v", all, err)
	}
	for _, subject := range []string{"$JS.API.STREAM.PURGE.EVENTS", "$JS.API.CONSUMER.CREATE.EVENTS.x", "$JS.API.CONSUMER.MSG.NEXT.EVENTS.pbx", "events.zorio.x", "dead.pbx.zorio.x"} {
		if answer, err := js.Conn().Request(subject, nil, 100*time.Millisecond); err == nil {
			t.Errorf("%s: %s", subject, answer.Data)
		}
	}
}

func TestCredentialsAreForTheirOwnerAloneAndStay(t *testing.T) {
	t.Parallel()
	folder := access.Folder(t.TempDir())
	pbx := access.Team{Name: "pbx", Places: []access.Place{{Durable: "pbx", Events: []string{"pbx.>"}}}}
	if err := errors.Join(folder.Make(), folder.Add(pbx)); err != nil {
		t.Fatal(err)
	}
	keys := map[string][]byte{}
	for _, user := range []string{access.Gateway, access.Operator, access.Monitor, "pbx"} {
		info, err := os.Stat(folder.Seed(user))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Fatalf("%s: %v, %v", user, info, err)
		}
		keys[user], _ = os.ReadFile(folder.Seed(user))
	}
	text, err := folder.Text()
	if err != nil || strings.Contains(text, string(keys["pbx"][:20])) {
		t.Errorf("the configuration holds a secret, or %v", err)
	}
	if err := errors.Join(folder.Make(), folder.Add(pbx)); err != nil {
		t.Fatal(err)
	}
	for user, key := range keys {
		if now, _ := os.ReadFile(folder.Seed(user)); string(now) != string(key) {
			t.Errorf("%s has another key", user)
		}
	}
	if os.Geteuid() == 0 { // as root, for a gateway that is another user
		users := filepath.Dir(folder.Seed("late"))
		if err := errors.Join(os.Chown(users, 65532, 65532), folder.Add(access.Team{Name: "late"}), os.Chown(users, 0, 0)); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(folder.Seed("late")); err != nil || info.Sys().(*syscall.Stat_t).Uid != 65532 {
			t.Errorf("the key that root has made is not that of its folder's owner: %v", err)
		}
		if err := folder.Remove("late"); err != nil {
			t.Fatal(err)
		}
	}
	if err := folder.Leave("pbx"); err != nil {
		t.Fatal(err)
	}
	if teams, err := folder.Teams(); err != nil || len(teams) > 0 {
		t.Errorf("%v, %v", teams, err)
	}
	if _, err := os.Stat(folder.Seed("pbx")); !os.IsNotExist(err) {
		t.Error("its credentials stay")
	}
	if err := folder.Add(access.Team{Name: access.Operator}); err == nil {
		t.Error("a team may be named operator")
	}
}

func TestTeamsThatAreAddedAtOnceAreAllThere(t *testing.T) {
	t.Parallel()
	folder, adding := access.Folder(t.TempDir()), errgroup.Group{}
	for n := range 8 {
		adding.Go(func() error {
			name := fmt.Sprint("team", n)
			return errors.Join(folder.Make(), folder.Add(access.Team{Name: name, Places: []access.Place{{Durable: name, Events: []string{">"}}}}))
		})
	}
	if err := adding.Wait(); err != nil {
		t.Fatal(err)
	}
	if teams, err := folder.Teams(); err != nil || len(teams) != 8 {
		t.Errorf("%d of 8 are there: %v, %v", len(teams), teams, err)
	}
}

func TestADamagedSeedNamesTheFileAndTheRemedy(t *testing.T) {
	t.Parallel()
	folder := access.Folder(t.TempDir())
	err := errors.Join(folder.Make(), os.WriteFile(folder.Seed(access.Operator), []byte("rubbish"), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	if err = folder.Make(); err == nil || !strings.Contains(err.Error(), folder.Seed(access.Operator)) || !strings.Contains(err.Error(), "remove it") {
		t.Error(err)
	}
	if err := errors.Join(os.Remove(folder.Seed(access.Operator)), folder.Make()); err != nil {
		t.Errorf("after it was removed: %v", err)
	}
}
