package stream_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
)

func init() {
	stream.ManyAtOnce = rig.ManyAtOnce
	stream.StartNats = func(t testing.TB, config string) stream.NatsServer { return rig.StartQuickNats(t, config) }
}

func TestDeclareNeedsJetStream(t *testing.T) {
	t.Parallel()
	address := rig.Address(t)
	rig.Start(t, rig.NatsServer(t), []string{"-a", "127.0.0.1", "-p", address[strings.LastIndexByte(address, ':')+1:]}, rig.Environment()).Listening(address)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := stream.Declare(ctx, rig.JetStream(t, "nats://"+address), stream.Settings{}); err == nil || !strings.Contains(err.Error(), "without JetStream") {
		t.Fatalf("got %v", err)
	}
}
