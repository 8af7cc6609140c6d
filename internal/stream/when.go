package stream

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
)

// FirstSince is the sequence of the first message that was stored then or later, or 0 where there is none. It takes one
// request, whatever the stream's size.
func FirstSince(ctx context.Context, js jetstream.JetStream, name string, since time.Time) (uint64, error) {
	page, err := jetstreamext.GetBatch(ctx, js, name, 1, jetstreamext.GetBatchStartTime(since))
	if err != nil {
		return 0, err
	}
	for m, err := range page {
		switch {
		case errors.Is(err, jetstreamext.ErrNoMessages):
			return 0, nil
		case err != nil:
			return 0, err
		}
		return m.Sequence, nil
	}
	return 0, nil
}

// Count is how many messages of a stream lie on a subject, which may have wildcards. It takes one request, however many
// subjects there are.
func Count(ctx context.Context, js jetstream.JetStream, name, subject string) (uint64, error) {
	page, err := jetstreamext.GetBatch(ctx, js, name, 1, jetstreamext.GetBatchSeq(1), jetstreamext.GetBatchSubject(subject))
	if err != nil {
		return 0, err
	}
	for m, err := range page {
		switch {
		case errors.Is(err, jetstreamext.ErrNoMessages):
			return 0, nil
		case err != nil:
			return 0, err
		}
		behind, err := strconv.ParseUint(m.Header.Get("Nats-Num-Pending"), 10, 64)
		return behind + 1, err
	}
	return 0, nil
}
