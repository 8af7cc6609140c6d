package rig

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/stream"
)

// Hub is a NATS with the streams declared, and a connection to it. For one that is to be killed see [StartNats].
func Hub(t testing.TB, s stream.Settings) jetstream.JetStream {
	t.Helper()
	js := JetStream(t, StartQuickNats(t, "").URL())
	Declare(t, js, s)
	return js
}

// Declare makes the streams, as a gateway does when it starts.
func Declare(t testing.TB, js jetstream.JetStream, s stream.Settings) {
	t.Helper()
	patiently(t, func() error { return stream.Declare(t.Context(), js, s) })
}

// JetStream is a connection to a NATS, until the test ends.
func JetStream(t testing.TB, url string) jetstream.JetStream {
	t.Helper()
	var nc *nats.Conn
	patiently(t, func() (err error) {
		nc, err = stream.Connect(t.Context(), stream.Options{URL: url, Creds: Credentials(url)})
		return err
	})
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// patiently tries again what a server that is busy, or has just begun to listen, cannot do yet.
func patiently(t testing.TB, try func() error) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		if err := try(); err == nil {
			return
		} else if !stream.Passes(err) || time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// Declared is a connection to it, with the streams declared.
func (n *Nats) Declared() jetstream.JetStream {
	n.t.Helper()
	js := JetStream(n.t, n.URL())
	Declare(n.t, js, stream.Settings{})
	return js
}
