package stream

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const waitAgain = time.Second // between two attempts

// passing are reasons that go away by themselves: while NATS starts, elects a leader, or waits for the gateway to make
// the streams.
var passing = []error{
	ErrUnreachable, jetstream.ErrStreamNotFound, jetstream.ErrJetStreamNotEnabled,
	nats.ErrNoResponders, context.DeadlineExceeded, nats.ErrTimeout,
}

// WaitFor repeats try while it fails for a reason that passes by itself, and logs once what it waits for. Another error
// is returned, and so is that of ctx when it ends.
func WaitFor(ctx context.Context, log *slog.Logger, what string, try func() error) error {
	for said := false; ; said = true {
		err := try()
		if !passes(err) {
			return err
		}
		if !said {
			log.Info("waiting for "+what, "error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(waitAgain):
		}
	}
}

func passes(err error) bool {
	for _, reason := range passing {
		if errors.Is(err, reason) {
			return true
		}
	}
	return false
}
