package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
)

// backBytes bounds what [Back] returns at once, and backPageBytes what it asks for at once: NATS writes that without waiting,
// and cuts a connection that has more than 64 MB to take. Four who asked for 8 MiB each lost it.
const (
	backBytes     = 32 << 20
	backPageBytes = 2 << 20
)

// answeredWithin bounds a look that whoever asks has not bounded: the client would end each answer after a time of its own.
const answeredWithin = 30 * time.Second

var errNoAnswer = errors.New("NATS ended its answer before there was anything in it: was the connection lost?")

// Back returns the messages of a stream whose sequences are from first to (before - 1), the newest first; first is (before -
// most), or more where bodies are large. Some may be gone. It takes part in no consumer, and looks at no others.
func Back(ctx context.Context, js jetstream.JetStream, name string, before, most uint64) (messages []*jetstream.RawStreamMsg, first uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, answeredWithin)
	defer cancel()
	first = max(1, before-min(before, most))
	size := 0
	for next := first; next < before; {
		page, err := jetstreamext.GetBatch(ctx, js, name, int(before-next), jetstreamext.GetBatchSeq(next), jetstreamext.GetBatchMaxBytes(backPageBytes))
		if err != nil {
			return nil, 0, fmt.Errorf("stream %s: %w", name, err)
		}
		got, err := collect(ctx, name, page)
		if err != nil {
			return nil, 0, err
		}
		if len(got) == 0 {
			break
		}
		for _, m := range got {
			size += len(m.Data)
		}
		messages = append(messages, got...)
		for ; size > backBytes && len(messages) > 1; messages = messages[1:] {
			size -= len(messages[0].Data)
			first = messages[1].Sequence
		}
		next = got[len(got)-1].Sequence + 1
	}
	messages = slices.DeleteFunc(messages, func(m *jetstream.RawStreamMsg) bool { return m.Sequence >= before })
	slices.Reverse(messages)
	return messages, min(first, before), nil
}

// LastBefore returns the last message of each subject whose sequence is below before. Subjects may have wildcards, and
// mean a thousand at most.
func LastBefore(ctx context.Context, js jetstream.JetStream, name string, subjects []string, before uint64) ([]*jetstream.RawStreamMsg, error) {
	if before <= 1 || len(subjects) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, answeredWithin)
	defer cancel()
	page, err := jetstreamext.GetLastMsgsFor(ctx, js, name, subjects, jetstreamext.GetLastMsgsUpToSeq(before-1))
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", name, err)
	}
	return collect(ctx, name, page)
}

// SequenceAt is the sequence of the first message of a stream that was stored at a time or later, or of the next one to be
// stored where there is none.
func SequenceAt(ctx context.Context, js jetstream.JetStream, info *jetstream.StreamInfo, at time.Time) (uint64, error) {
	switch state := info.State; {
	case state.Msgs == 0 || at.After(state.LastTime):
		return state.LastSeq + 1, nil
	case !at.After(state.FirstTime):
		return state.FirstSeq, nil
	}
	page, err := jetstreamext.GetBatch(ctx, js, info.Config.Name, 1, jetstreamext.GetBatchStartTime(at))
	if err != nil {
		return 0, fmt.Errorf("stream %s: %w", info.Config.Name, err)
	}
	got, err := collect(ctx, info.Config.Name, page)
	if err != nil || len(got) == 0 {
		return info.State.LastSeq + 1, err
	}
	return got[0].Sequence, nil
}

// collect takes what comes, which may be nothing.
func collect(ctx context.Context, name string, page func(func(*jetstream.RawStreamMsg, error) bool)) (messages []*jetstream.RawStreamMsg, err error) {
	none := false
	for m, err := range page {
		if none = errors.Is(err, jetstreamext.ErrNoMessages); none {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("stream %s: %w", name, err)
		}
		strip(m)
		messages = append(messages, m)
	}
	switch { // the client ends an answer that is late, or was lost with the connection, as one that is whole
	case ctx.Err() != nil:
		return nil, fmt.Errorf("stream %s: %w", name, ctx.Err())
	case len(messages) == 0 && !none:
		return nil, fmt.Errorf("stream %s: %w", name, errNoAnswer)
	}
	return messages, nil
}
