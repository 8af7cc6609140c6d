package stream

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// embedded is a server in a folder of the test's, and a connection to it.
func embedded(t *testing.T) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	return connected(t, Options{URL: serve(t, t.TempDir(), server.RANDOM_PORT).ClientURL()})
}

const startTimeout = 30 * time.Second

// serve is a server with its streams in a folder, until it is stopped or the test ends.
func serve(t *testing.T, dir string, port int) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: dir, MaxPayload: 8 << 20, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(startTimeout) {
		t.Fatal("the server did not start")
	}
	return s
}

func connected(t *testing.T, o Options) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	nc, err := Connect(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return nc, js
}

func TestDeclareMakesAndUpdatesTheStreams(t *testing.T) {
	_, js := embedded(t)
	for _, age := range []time.Duration{time.Hour, 2 * time.Hour} {
		if err := Declare(t.Context(), js, Settings{MaxAge: age, MaxBytes: 1 << 20}); err != nil {
			t.Fatal(err)
		}
		s, err := js.Stream(t.Context(), Events)
		if err != nil {
			t.Fatal(err)
		}
		if c := s.CachedInfo().Config; c.MaxAge != age || c.MaxBytes != 1<<20 || c.Duplicates != DuplicateWindow || c.Discard != jetstream.DiscardOld {
			t.Errorf("EVENTS is %+v", c)
		}
	}
	for _, name := range []string{Quarantine, Dead, Retry, Replay, History, Audit} {
		if _, err := js.Stream(t.Context(), name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDeclareLeavesSomebodyElsesStreamAlone(t *testing.T) {
	_, js := embedded(t)
	theirs := jetstream.StreamConfig{Name: Dead, Subjects: []string{"graves.>"}}
	if _, err := js.CreateStream(t.Context(), theirs); err != nil {
		t.Fatal(err)
	}
	err := Declare(t.Context(), js, Settings{})
	if err == nil || !strings.Contains(err.Error(), "graves.> instead of dead.>") {
		t.Fatalf("got %v", err)
	}
	if _, err := js.Stream(t.Context(), Events); err == nil {
		t.Error("EVENTS was made although DEAD is somebody else's")
	}
}

func TestDeclareNeedsJetStream(t *testing.T) {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(startTimeout) {
		t.Fatal("the server did not start")
	}
	_, js := connected(t, Options{URL: s.ClientURL()})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := Declare(ctx, js, Settings{}); err == nil || !strings.Contains(err.Error(), "without JetStream") {
		t.Fatalf("got %v", err)
	}
}

func TestConnectNamesTheRemedy(t *testing.T) {
	for url, want := range map[string]string{
		"redis://127.0.0.1:6379":           "is not the address of a NATS server",
		"localhost":                        "is not the address of a NATS server",
		"nats://user:hunter2@127.0.0.1:1":  "nats://xxxxx@127.0.0.1:1",
		"nats://127.0.0.1:1":               "start it, correct NATS_URL, or unset",
		"nats://no.such.host.invalid:4222": "no.such.host.invalid",
	} {
		_, err := Connect(t.Context(), Options{URL: url})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", url, err)
		}
	}
}
