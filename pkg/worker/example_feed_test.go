package worker_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

// feed is what a gateway would be for the examples: a stream with one event of each name, whose bodies are the names.
// Its context ends when the team has settled all of them.
func feed(team string, names ...string) (ctx context.Context, end func()) {
	example := &rig.Example{}
	server := rig.StartQuickNats(example, "")
	must(os.Setenv("NATS_URL", server.URL()))
	js := rig.JetStream(example, server.URL())
	rig.Declare(example, js, stream.Settings{})
	for n, name := range names {
		msg := nats.NewMsg(event.Subject("zorio", name))
		msg.Header.Set(event.HeaderID, event.Identity(fmt.Sprint("delivery-", n+1), "0123456789abcdef"))
		msg.Data = []byte(name)
		_, err := js.PublishMsg(context.Background(), msg)
		must(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for ; ctx.Err() == nil && !settled(ctx, js, team); time.Sleep(10 * time.Millisecond) {
		}
		cancel()
	}()
	return ctx, func() {
		cancel()
		<-watched
		example.End()
	}
}

func settled(ctx context.Context, js jetstream.JetStream, team string) bool {
	durable, err := js.Consumer(ctx, stream.Events, team)
	if err != nil {
		return false
	}
	retries, err := js.Stream(ctx, stream.Retry)
	if err != nil {
		return false
	}
	info := durable.CachedInfo()
	return info.Delivered.Consumer > 0 && info.NumPending == 0 && info.NumAckPending == 0 && retries.CachedInfo().State.Msgs == 0
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
