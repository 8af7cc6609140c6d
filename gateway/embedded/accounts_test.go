package embedded

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/access"
	"github.com/sluicehq/sluice/internal/stream"
)

func start(t *testing.T, dir string) *Server {
	t.Helper()
	s, err := Start(Options{Dir: dir, Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	return s
}

// as connects with the credentials of a user; with none where it is empty.
func as(t *testing.T, s *Server, user string) (jetstream.JetStream, error) {
	t.Helper()
	o := stream.Options{URL: s.URL()}
	if user != "" {
		o.Creds = access.In(s.options.Dir).Seed(user)
	}
	nc, err := stream.Connect(t.Context(), o)
	if err != nil {
		return nil, err
	}
	t.Cleanup(nc.Close)
	return jetstream.New(nc)
}

func operator(t *testing.T, s *Server) jetstream.JetStream {
	t.Helper()
	js, err := as(t, s, access.Operator)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func TestAStrangerIsRefusedAndToldTheRemedy(t *testing.T) {
	s := start(t, t.TempDir())
	_, err := as(t, s, "")
	if err == nil || !strings.Contains(err.Error(), "NATS_CREDS") || !strings.Contains(err.Error(), "SLUICE_DATA") {
		t.Errorf("without credentials: %v", err)
	}
	elsewhere := access.In(t.TempDir())
	if err := elsewhere.Make(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Connect(t.Context(), stream.Options{URL: s.URL(), Creds: elsewhere.Seed(access.Operator)}); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("with somebody else's: %v", err)
	}
	if nc, err := stream.Connect(t.Context(), stream.Options{URL: s.URL(), InProcess: s, Auth: s.Auth()}); err != nil {
		t.Errorf("the gateway itself: %v", err)
	} else {
		nc.Close()
	}
}

// Earlier versions had no accounts: what they stored lies in the account that nats-server has by itself.
func TestWhatAnEarlierVersionStoredIsThereWithEveryPosition(t *testing.T) {
	dir := t.TempDir()
	before, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: dir, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	before.Start()
	if !before.ReadyForConnections(10 * time.Second) {
		t.Fatal("it does not start")
	}
	nc, err := nats.Connect(before.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	js, _ := jetstream.New(nc)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(stream.Declare(t.Context(), js, stream.Settings{}))
	for range 3 {
		_, err := js.Publish(t.Context(), "events.zorio.x", nil)
		must(err)
	}
	durable, err := js.CreateConsumer(t.Context(), stream.Events, stream.Consumer("pbx", []string{"events.>"}))
	must(err)
	m, err := durable.Next()
	must(err)
	must(m.DoubleAck(t.Context()))
	nc.Close()
	t.Setenv("SLUICE_DATA", dir)
	early, err := stream.Connect(t.Context(), stream.Options{URL: before.ClientURL()}) // it needed no credentials, and has none
	must(err)
	t.Cleanup(early.Close)
	address := before.Addr().String()
	before.Shutdown()
	before.WaitForShutdown()

	s, err := Start(Options{Dir: dir, Listen: address})
	must(err)
	t.Cleanup(s.Shutdown)
	eventually(t, "who was connected to the earlier version is let in", early.IsConnected)
	found, err := operator(t, s).Consumer(t.Context(), stream.Events, "pbx")
	must(err)
	if info := found.CachedInfo(); info.AckFloor.Stream != 1 || info.NumPending+uint64(info.NumAckPending) != 2 {
		t.Errorf("%+v", info)
	}
	s.Shutdown()

	must(os.Mkdir(filepath.Join(dir, "jetstream", "$G"), 0o700))
	if again, err := Start(Options{Dir: dir, Listen: "127.0.0.1:0"}); err == nil || !strings.Contains(err.Error(), "two gateways") {
		t.Errorf("with the streams of an earlier version that ran after this one: %v", err)
		again.Shutdown()
	}
}

func TestATeamIsLetInAndShutOutWhileTheOthersStay(t *testing.T) {
	s := start(t, t.TempDir())
	js := operator(t, s)
	if err := stream.Declare(t.Context(), js, stream.Settings{}); err != nil {
		t.Fatal(err)
	}
	folder := access.In(s.options.Dir)
	pbx := access.Team{Name: "pbx", Places: []access.Place{{Durable: "pbx", Events: []string{">"}}}}
	if err := errors.Join(folder.Add(pbx), pbx.Settle(t.Context(), js, nil)); err != nil && !stream.Passes(err) {
		t.Fatal(err)
	}
	reaches := func() bool {
		team, err := as(t, s, "pbx")
		if err == nil {
			_, err = team.Consumer(t.Context(), stream.Events, "pbx")
		}
		return err == nil
	}
	eventually(t, "pbx is let in", func() bool { return pbx.Settle(t.Context(), js, nil) == nil && reaches() })
	var said notes
	inside, err := stream.Connect(t.Context(), stream.Options{URL: s.URL(), Creds: folder.Seed("pbx"), Log: slog.New(slog.NewTextHandler(&said, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(inside.Close)
	if err := folder.Remove("pbx"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "pbx is shut out", func() bool { return !inside.IsConnected() })
	if n := js.Conn().Stats().Reconnects; n != 0 {
		t.Errorf("the operator lost the connection %d times", n)
	}

	eventually(t, "the team is told what to do", func() bool { return strings.Contains(said.String(), "the key in "+folder.Seed("pbx")) })
	if err := folder.Add(pbx); err != nil {
		t.Fatal(err)
	}
	eventually(t, "pbx is back with its new key, without a restart", inside.IsConnected)
	if n := strings.Count(said.String(), "does not let this user in"); n != 1 {
		t.Errorf("it is told %d times:\n%s", n, said.String())
	}
}

// notes is a log that may be read while it is written.
type notes struct {
	mu   sync.Mutex
	text strings.Builder
}

func (n *notes) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.Write(p)
}

func (n *notes) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.String()
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for begin := time.Now(); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Since(begin) > 20*time.Second {
			t.Fatalf("not within 20s: %s", what)
		}
	}
}
