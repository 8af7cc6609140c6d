package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sluicehq/sluice/internal/ops/replay"
	"github.com/sluicehq/sluice/pkg/event"
)

// runs are the replays that this console runs. They go on when browsers leave, and are interrupted with the console: then
// anybody resumes them.
type runs struct {
	ctx    context.Context
	cancel context.CancelFunc
	wait   sync.WaitGroup

	mu  sync.Mutex
	ids map[string]bool
}

func newRuns() *runs {
	ctx, cancel := context.WithCancel(context.Background())
	return &runs{ctx: ctx, cancel: cancel, ids: map[string]bool{}}
}

// close interrupts them, and waits until that is written down.
func (r *runs) close() {
	r.cancel()
	r.wait.Wait()
}

func (r *runs) has(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ids[id]
}

func (r *runs) note(id string, running bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ids[id] = running; !running {
		delete(r.ids, id)
	}
}

// run brings a replay that is entered to its end, in the background. What becomes of it stands in its entry.
func (s *server) run(record *replay.Record, missing replay.Missing) {
	e := record.Entry()
	s.runs.note(e.ID, true)
	s.runs.wait.Go(func() {
		defer s.runs.note(e.ID, false)
		target, done, err := s.target(&e)
		if err == nil {
			defer done()
		} else {
			target = broken{err}
		}
		run := replay.Run{Target: target, Missing: missing}
		if e.Archive != "" {
			if archive, failed := s.openArchive(s.runs.ctx, e.Archive); failed == nil {
				defer archive.Close()
				run.Selection.Archive = archive
			} else {
				run.Selection.Archive = unread{failed}
			}
		}
		err = replay.Do(s.runs.ctx, s.js, record, run, func(replay.Progress) {})
		if err != nil && !errors.Is(err, replay.ErrStopped) && !errors.Is(err, replay.ErrTaken) && s.runs.ctx.Err() == nil {
			s.log.Warn("a replay has failed", "replay", e.ID, "to", e.Target(), "error", err)
		}
	})
}

// target is where an entry says that the events go.
func (s *server) target(e *replay.Entry) (to replay.Target, done func(), err error) {
	if e.Team == "" {
		return replay.NewURL(e.URL, s.settings.secret(), func(e *event.Event, err error) {
			s.log.Info("a replayed event was refused", "sequence", e.Sequence, "event", e.Name, "error", err)
		}), func() {}, nil
	}
	t, err := replay.NewTeam(s.js, e.Team, e.ID)
	if err != nil {
		return nil, nil, err
	}
	return t, t.Close, nil
}

// unread is an archive that cannot be opened: the replay fails for that reason.
type unread struct{ error }

func (u unread) Read(context.Context, replay.Selection, bool, func(*event.Event, time.Time) error) error {
	return u.error
}

// broken is a target that cannot be made: the replay fails for that reason.
type broken struct{ error }

func (b broken) Deliver(context.Context, []*event.Event) (replay.Outcome, error) {
	return replay.Outcome{}, b.error
}
