package rig

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/pkg/stream"
)

// Hub is a NATS inside the test, with the streams declared, and a connection to it. For one that is to be killed see
// [StartNats].
func Hub(t testing.TB, s stream.Settings) jetstream.JetStream {
	t.Helper()
	server, err := stream.Embed(stream.EmbedOptions{Dir: t.TempDir(), Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	nc, err := stream.Connect(t.Context(), stream.Options{URL: server.URL()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Declare(t.Context(), js, s); err != nil {
		t.Fatal(err)
	}
	return js
}
