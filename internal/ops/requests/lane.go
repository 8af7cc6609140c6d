package requests

import (
	"context"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/stream"
)

// lane goes through some messages of a stream from the newest to the oldest.
type lane interface {
	// head is the newest that is left; nil at the end. It reads where it has to.
	head(ctx context.Context, js jetstream.JetStream) (*jetstream.RawStreamMsg, error)
	take()
}

// whole goes through all messages.
type whole struct {
	name          string
	first, before uint64
	step          uint64
	read          []*jetstream.RawStreamMsg
}

// How many sequences are looked at together.
const (
	firstStep = 64 // a page
	mostStep  = 128
)

func (w *whole) head(ctx context.Context, js jetstream.JetStream) (_ *jetstream.RawStreamMsg, err error) {
	for len(w.read) == 0 && w.before > max(w.first, 1) {
		w.step = min(max(2*w.step, firstStep), mostStep)
		if w.read, w.before, err = stream.Back(ctx, js, w.name, w.before, w.step); err != nil {
			return nil, err
		}
	}
	if len(w.read) == 0 {
		return nil, nil
	}
	return w.read[0], nil
}

func (w *whole) take() { w.read = w.read[1:] }

// few goes through the messages of some subjects, asking for one at a time: it costs as little where they are rare.
type few struct {
	name     string
	subjects []string
	before   uint64
	heads    []*jetstream.RawStreamMsg // one a subject that has any left
	begun    bool
	taken    *jetstream.RawStreamMsg // whose successor is not read yet
}

func (f *few) head(ctx context.Context, js jetstream.JetStream) (newest *jetstream.RawStreamMsg, err error) {
	switch {
	case !f.begun:
		f.heads, err = stream.LastBefore(ctx, js, f.name, f.subjects, f.before)
		f.begun = err == nil
	case f.taken != nil:
		var next []*jetstream.RawStreamMsg
		next, err = stream.LastBefore(ctx, js, f.name, []string{f.taken.Subject}, f.taken.Sequence)
		if err == nil {
			f.heads, f.taken = append(f.heads, next...), nil
		}
	}
	if err != nil {
		return nil, err
	}
	for _, m := range f.heads {
		if newest == nil || m.Sequence > newest.Sequence {
			newest = m
		}
	}
	return newest, nil
}

func (f *few) take() {
	at := 0
	for i, m := range f.heads {
		if m.Sequence > f.heads[at].Sequence {
			at = i
		}
	}
	f.taken = f.heads[at]
	f.heads = append(f.heads[:at], f.heads[at+1:]...)
}
