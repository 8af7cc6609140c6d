package stream

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const waitAgain = time.Second // between two attempts

// ErrNoRoom means that a disk is full.
var ErrNoRoom = errors.New("too little room on the disk")

// passing are reasons that go away by themselves: while NATS starts, elects a leader, or waits for the gateway to make
// the streams.
var passing = []error{
	ErrUnreachable, ErrNoRoom, jetstream.ErrStreamNotFound, jetstream.ErrJetStreamNotEnabled,
	nats.ErrNoResponders, context.DeadlineExceeded, nats.ErrTimeout,
	nats.ErrConnectionReconnecting, nats.ErrReconnectBufExceeded, nats.ErrDisconnected,
}

// passingCodes are such reasons of the JetStream API: a cluster without a leader or with too few of its servers, and a
// store without room.
var passingCodes = []jetstream.ErrorCode{
	clusterNotAvailable, clusterNotLeader, noPeers, insufficientResources, storageExceeded, streamOffline, streamOfflineReason,
}

// WaitFor repeats try while it fails for a reason that passes by itself, and logs once what it waits for. Another error
// is returned, and so is that of ctx when it ends.
func WaitFor(ctx context.Context, log *slog.Logger, what string, try func() error) error {
	for said := false; ; said = true {
		err := try()
		if !Passes(err) {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !said {
			log.Info("waiting for "+what, "error", err)
		}
		Pause(ctx, waitAgain)
	}
}

// Pause waits for a while, or until ctx ends.
func Pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// Passes reports whether an error is one that goes away by itself.
func Passes(err error) bool {
	for _, reason := range passing {
		if errors.Is(err, reason) {
			return true
		}
	}
	var api *jetstream.APIError
	return errors.As(err, &api) && slices.Contains(passingCodes, api.ErrorCode)
}
