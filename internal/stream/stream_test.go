package stream

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	ManyAtOnce()
	goleak.VerifyTestMain(m)
}

// NatsServer is a nats-server with JetStream, as package rig starts it.
type NatsServer interface {
	URL() string
	Kill()
	Restart()
}

// StartNats starts one until the test ends; config is added to its configuration. It is given by rig_test.go: package rig
// imports this one, so that the tests inside this one cannot import rig.
var StartNats func(t testing.TB, config string) NatsServer

// ManyAtOnce lets tests wait beside each other. It is package rig's too.
var ManyAtOnce func()

// served is a connection to a server of the test's.
func served(t *testing.T) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	return connected(t, Options{URL: StartNats(t, "").URL()})
}

func connected(t *testing.T, o Options) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	nc, err := Connect(t.Context(), o)
	for deadline := time.Now().Add(20 * time.Second); errors.Is(err, ErrUnreachable) && time.Now().Before(deadline); { // it may be too busy to answer
		nc, err = Connect(t.Context(), o)
	}
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
	t.Parallel()
	_, js := served(t)
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

// What is as it shall be is not written again: a gateway that starts again is ready sooner.
func TestDeclareUpdatesOnlyWhatChanges(t *testing.T) {
	t.Parallel()
	nc, js := served(t)
	updates, err := nc.SubscribeSync("$JS.API.STREAM.UPDATE.>")
	if err != nil {
		t.Fatal(err)
	}
	settings := Settings{MaxAge: time.Hour, Room: 1 << 30}
	if err := Declare(t.Context(), js, settings); err != nil { // creating begins with an update, which finds nothing
		t.Fatal(err)
	}
	for _, c := range []struct {
		change  func()
		updates int
	}{
		{func() {}, 0},
		{func() { settings.MaxAge = 2 * time.Hour }, 1},
		{func() { settings.Room = 4 << 30 }, 2}, // of EVENTS, and of DEAD
		{func() {}, 0},
	} {
		c.change()
		before, _, _ := updates.Pending()
		if err := Declare(t.Context(), js, settings); err != nil {
			t.Fatal(err)
		}
		if after, _, _ := updates.Pending(); after-before != c.updates {
			t.Errorf("%d updates, want %d, of %+v", after-before, c.updates, settings)
		}
	}
}

// Dead letters of a version that did not bound them stay, all of them, and there is room for as many more.
func TestDeclareBoundsDeadLettersAndDropsNone(t *testing.T) {
	t.Parallel()
	_, js := served(t)
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: Dead, Subjects: []string{"dead.>"}}); err != nil {
		t.Fatal(err)
	}
	letter := make([]byte, 512<<10)
	for range 40 { // 20 MiB, and the bound of so little room would be 16
		if _, err := js.Publish(t.Context(), "dead.pbx.zorio.x", letter); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := Declare(t.Context(), js, Settings{Room: 32 << 20}); err != nil {
			t.Fatal(err)
		}
		s, err := js.Stream(t.Context(), Dead)
		if err != nil {
			t.Fatal(err)
		}
		info := s.CachedInfo()
		if info.State.Msgs != 40 || info.Config.MaxBytes < 2*int64(info.State.Bytes)-1 || info.Config.Discard != jetstream.DiscardNew {
			t.Errorf("%d letters are left, with the bound %d: %v", info.State.Msgs, info.Config.MaxBytes, info.Config.Discard)
		}
	}
}

func TestDeclareLeavesSomebodyElsesStreamAlone(t *testing.T) {
	t.Parallel()
	_, js := served(t)
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

func TestConnectNamesTheRemedy(t *testing.T) {
	t.Parallel()
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
