package replay

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/pkg/event"
)

// Target is where events go.
type Target interface {
	// Deliver brings a batch there and says what became of it. On return without an error, or with one that is
	// [ErrRefusing], each of the batch is taken or refused; after another error some may be there, and bringing the batch
	// again is harmless.
	Deliver(ctx context.Context, batch []*event.Event) (Outcome, error)
}

// Outcome is what became of a batch.
type Outcome struct {
	Replayed, Duplicates int
	Refused              []uint64 // sequences of what was not taken
}

// ErrRefusing says that whoever gets the events takes none of them any more.
var ErrRefusing = errors.New("it takes no more events")

// Run is a replay's work: what, where to, and how fast.
type Run struct {
	Selection Selection // what, with From where it begins
	Target    Target
	Rate      float64 // events a second; 0: as fast as they are taken
	Missing   Missing // nil: whether the team has handled them or not

	progress Progress
	left     []uint64 // was not taken
	note     func(Progress)
	begin    time.Time
	sent     int
	batch    []*event.Event
	bytes    int
}

// What is delivered at once: a batch costs one sync of the disk, whatever its size.
const (
	maxBatch      = 250
	maxBatchBytes = 4 << 20
)

// Do runs the replay that a record is of, from where it is, and writes down how far it is: what was not taken before comes
// first. It returns nil when it is at its end, which is done only where everything was taken, [ErrStopped] or [ErrTaken] when somebody ended it, the error of ctx when that ended, and an error of the
// target's; except for the first, it can be resumed.
func Do(ctx context.Context, js jetstream.JetStream, r *Record, run Run, step func(Progress)) error {
	e := r.Entry()
	run.Rate, run.progress, run.left = e.Rate, e.Progress, e.Left
	bounded, end := context.WithCancelCause(ctx)
	var keeper sync.WaitGroup
	keeper.Go(func() { r.keep(bounded, end) })
	note := func(p Progress) { r.note(p, run.left); step(p) }
	var err error
	for _, selection := range e.passes() {
		selection.Archive = run.Selection.Archive // which is not written down
		if run.Selection = selection; err == nil {
			err = run.Play(bounded, js, note)
		}
	}
	end(nil)
	keeper.Wait()
	return r.end(ctx, err)
}

// Play is [Do] without a journal: it begins at the beginning, and cannot be resumed.
func (r *Run) Play(ctx context.Context, js jetstream.JetStream, note func(Progress)) error {
	r.note, r.begin = note, time.Now()
	_, err := r.Selection.read(ctx, js, false, func(e stored) error {
		r.batch, r.bytes = append(r.batch, e.Event), r.bytes+len(e.Body)
		if len(r.batch) < r.batchSize() && r.bytes < maxBatchBytes {
			return nil
		}
		return r.flush(ctx)
	})
	if err != nil {
		return err
	}
	return r.flush(ctx)
}

// batchSize keeps to a tenth of a second's worth of events.
func (r *Run) batchSize() int {
	if r.Rate <= 0 {
		return maxBatch
	}
	return min(max(int(r.Rate/10), 1), maxBatch)
}

// flush delivers the batch when its turn has come.
func (r *Run) flush(ctx context.Context) error {
	if len(r.batch) == 0 {
		return nil
	}
	last := r.batch[len(r.batch)-1].Sequence
	left, err := r.missing(ctx)
	if err != nil {
		return err
	}
	if err := r.await(ctx); err != nil {
		return err
	}
	if len(left) > 0 {
		outcome, failed := r.Target.Deliver(ctx, left)
		if failed != nil && !errors.Is(failed, ErrRefusing) {
			return failed
		}
		r.add(outcome)
		r.sent, err = r.sent+len(left), failed
	}
	r.progress.Sequence = max(r.progress.Sequence, last)
	r.batch, r.bytes = nil, 0
	r.note(r.progress)
	return err
}

// add counts what became of the batch. What was refused before is not any more, unless it is again.
func (r *Run) add(o Outcome) {
	r.left = slices.DeleteFunc(slices.Clone(r.left), func(sequence uint64) bool {
		return slices.ContainsFunc(r.batch, func(e *event.Event) bool { return e.Sequence == sequence })
	})
	r.left = append(r.left, o.Refused...)
	slices.Sort(r.left)
	r.progress.Replayed += o.Replayed
	r.progress.Duplicates += o.Duplicates
	r.progress.Refused = len(r.left)
}

func (r *Run) missing(ctx context.Context) ([]*event.Event, error) {
	if r.Missing == nil {
		return r.batch, nil
	}
	left, err := r.Missing(ctx, r.batch)
	if err == nil {
		r.progress.Skipped += len(r.batch) - len(left)
	}
	return left, err
}

// await waits for the turn of the next event.
func (r *Run) await(ctx context.Context) error {
	if r.Rate <= 0 {
		return context.Cause(ctx)
	}
	turn := time.NewTimer(time.Until(r.begin.Add(time.Duration(float64(r.sent) / r.Rate * float64(time.Second)))))
	defer turn.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-turn.C:
		return nil
	}
}
