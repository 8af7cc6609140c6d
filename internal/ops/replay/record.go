package replay

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Why a replay ends before it is done.
var (
	ErrStopped = errors.New("stopped by `sluicectl replay stop`")
	ErrTaken   = errors.New("resumed by another process")
)

// Record is the entry of a replay that this process runs. It is safe for concurrent use.
type Record struct {
	journal *Journal

	mu       sync.Mutex
	entry    Entry
	revision uint64
}

// Entry is a copy of what is written next.
func (r *Record) Entry() Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.entry
}

func (r *Record) note(p Progress, left []uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.entry.Progress, r.entry.Left = p, left
}

const (
	writeEvery  = 500 * time.Millisecond // what a process that is killed may replay once more
	writeWithin = 5 * time.Second
)

// keep writes the progress until ctx ends, and ends the replay when somebody else wrote the entry.
func (r *Record) keep(ctx context.Context, end context.CancelCauseFunc) {
	tick := time.NewTicker(writeEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := r.write(ctx, Running); errors.Is(err, ErrStopped) || errors.Is(err, ErrTaken) {
			end(err)
			return
		} // any other one passes, or ends the replay by itself
	}
}

// write enters the progress with a state, unless somebody else wrote the entry since: it then says who.
func (r *Record) write(ctx context.Context, state State) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.entry.State, r.entry.Owner, r.entry.Updated = state, owner, time.Now().UTC()
	text, err := json.Marshal(r.entry)
	if err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, writeWithin)
	defer cancel()
	for {
		revision, err := r.journal.bucket.Update(bounded, r.entry.ID, text, r.revision)
		switch {
		case err == nil:
			r.revision = revision
			return nil
		case !isConflict(err):
			return fmt.Errorf("write the journal: %w", err)
		}
		if err := r.lookWhy(bounded); err != nil {
			return err
		}
	}
}

// owner tells this process from others.
var owner = rand.Text()

// lookWhy reads the entry that somebody wrote meanwhile. One of our own is a write whose answer was lost.
func (r *Record) lookWhy(ctx context.Context) error {
	now, revision, err := r.journal.get(ctx, r.entry.ID)
	switch {
	case err != nil:
		return err
	case now.Owner != owner:
		return ErrTaken
	}
	r.revision = revision
	if now.State == Stopped {
		return ErrStopped
	}
	return nil
}

// end writes the last word. It is said even when ctx of the replay has ended.
func (r *Record) end(ctx context.Context, err error) error {
	if errors.Is(err, ErrTaken) {
		return err
	}
	state := Done
	switch {
	case err == nil && len(r.Entry().Left) > 0:
		state = Refused
	case errors.Is(err, ErrStopped):
		state = Stopped
	case err != nil && ctx.Err() != nil && errors.Is(err, context.Cause(ctx)):
		state = Interrupted
	case err != nil:
		state = Failed
		r.mu.Lock()
		r.entry.Error = err.Error()
		r.mu.Unlock()
	}
	last := r.write(context.WithoutCancel(ctx), state)
	if errors.Is(last, ErrStopped) { // asked for in the last half second
		last = r.write(context.WithoutCancel(ctx), state)
	}
	return errors.Join(err, last)
}
