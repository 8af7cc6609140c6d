package stream

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ConnectTeam connects as a team's consumer to where o says, under the team's name and with an inbox of its own. It waits until NATS can
// be reached; settings that will not become right by themselves are an error, and so is the end of ctx.
func ConnectTeam(ctx context.Context, team string, o Options) (nc *nats.Conn, err error) {
	o.Name, o.InboxPrefix = "sluice "+team, "_INBOX_"+team
	err = WaitFor(ctx, o.Log, "NATS", func() error {
		nc, err = Connect(ctx, o)
		return err
	})
	return nc, err
}

// Durable makes a team's durable consumer as it shall be, or changes the one that is there if compatible returns no
// error. Where it began cannot be changed, and must not: one that is there goes on where it was.
func Durable(ctx context.Context, js jetstream.JetStream, name string, want jetstream.ConsumerConfig, compatible func(have jetstream.ConsumerConfig) error) (jetstream.Consumer, error) {
	found, err := js.Consumer(ctx, name, want.Durable)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound):
	case err != nil:
		return nil, err
	default:
		have := found.CachedInfo().Config
		if err := compatible(have); err != nil {
			return nil, err
		}
		want.Metadata = have.Metadata // in which it says who paused the team
		want.DeliverPolicy, want.OptStartTime, want.OptStartSeq = have.DeliverPolicy, have.OptStartTime, have.OptStartSeq
	}
	return js.CreateOrUpdateConsumer(ctx, name, want)
}
