package replay

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/pkg/event"
)

// Target is where events go.
type Target interface {
	// Deliver brings a batch there and says what became of it. On return without an error each of the batch is settled;
	// after an error some may be there, and bringing the batch again is harmless.
	Deliver(ctx context.Context, batch []*event.Event) (Outcome, error)
}

// Outcome is what became of a batch.
type Outcome struct{ Replayed, Duplicates, Refused int }

// Run is a replay's work: what, where to, and how fast.
type Run struct {
	Selection Selection // what, with From where it begins
	Target    Target
	Rate      float64 // events a second; 0: as fast as they are taken
	Missing   Missing // nil: whether the team has handled them or not

	progress Progress
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

// Do runs the replay that a record is of, from where it is, and writes down how far it is. It returns nil when it is
// done, [ErrStopped] or [ErrTaken] when somebody ended it, the error of ctx when that ended, and an error of the
// target's; except for the first, it can be resumed.
func Do(ctx context.Context, js jetstream.JetStream, r *Record, run Run, step func(Progress)) error {
	e := r.Entry()
	run.Selection, run.Rate, run.progress = e.Selection, e.Rate, e.Progress
	run.Selection.From, run.Selection.To = max(e.First, e.Progress.Sequence+1), e.Last
	bounded, end := context.WithCancelCause(ctx)
	var keeper sync.WaitGroup
	keeper.Go(func() { r.keep(bounded, end) })
	err := run.Play(bounded, js, func(p Progress) { r.note(p); step(p) })
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
		outcome, err := r.Target.Deliver(ctx, left)
		if err != nil {
			return err
		}
		r.progress.add(outcome)
		r.sent += len(left)
	}
	r.progress.Sequence = last
	r.batch, r.bytes = nil, 0
	r.note(r.progress)
	return nil
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
