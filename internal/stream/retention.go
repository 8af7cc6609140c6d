package stream

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// FirstFrom returns the first message that lies on one of the subjects, from a place in the stream on, or
// [jetstream.ErrMsgNotFound].
func FirstFrom(ctx context.Context, s jetstream.Stream, subjects []string, sequence uint64) (first *jetstream.RawStreamMsg, err error) {
	for _, subject := range subjects {
		m, failed := s.GetMsg(ctx, sequence, jetstream.WithGetMsgSubject(subject))
		if failed != nil && !errors.Is(failed, jetstream.ErrMsgNotFound) {
			return nil, failed
		}
		if failed == nil && (first == nil || m.Sequence < first.Sequence) {
			first = m
		}
	}
	if first == nil {
		return nil, fmt.Errorf("from #%d on: %w", sequence, jetstream.ErrMsgNotFound)
	}
	return first, nil
}

// UntilDropped is how long retention leaves a message in a stream: by its age, and, where the stream is bounded in
// bytes, by how soon at the stream's own average rate as many bytes come as are in it before the message, and free.
func UntilDropped(info *jetstream.StreamInfo, sequence uint64, stored, now time.Time) time.Duration {
	left := time.Duration(math.MaxInt64)
	if age := info.Config.MaxAge; age > 0 {
		left = stored.Add(age).Sub(now)
	}
	state := info.State
	span := now.Sub(state.FirstTime).Seconds()
	if info.Config.MaxBytes <= 0 || state.Bytes == 0 || span <= 0 {
		return left
	}
	size := float64(state.Bytes) / float64(state.LastSeq-state.FirstSeq+1)
	room := float64(info.Config.MaxBytes) - float64(state.Bytes) + size*float64(sequence-min(sequence, state.FirstSeq))
	seconds := room / (float64(state.Bytes) / span)
	if seconds < left.Seconds() {
		left = time.Duration(seconds * float64(time.Second))
	}
	return left
}
