package dead

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/sluicehq/sluice/internal/history"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

// Redrive sends a letter back to its team, and to no other, with its attempts counted from the beginning; by says who
// does it, for its history. The letter is removed when the stream REPLAY has acknowledged the copy. A crash in between
// leaves both; a repetition within stream.DuplicateWindow is then a duplicate, which is stored once, and a later one
// meets the team's inbox, which knows the event by its identity. Untold is why its history does not know of it.
func Redrive(ctx context.Context, js jetstream.JetStream, l *Letter, by string) (duplicate bool, untold, err error) {
	at := time.Now() // before the team has it
	ack, err := js.PublishMsg(ctx, l.redriven(at, by))
	if err != nil {
		return false, nil, fmt.Errorf("redrive #%d: %w", l.Sequence, err)
	}
	untold = l.tell(ctx, js, history.Redriven, at, by)
	return ack.Duplicate, untold, stream.Delete(ctx, js, stream.Dead, l.Sequence)
}

func (l *Letter) redriven(at time.Time, by string) *nats.Msg {
	header := nats.Header(l.Redrive(l.Sequence, at, by))
	header.Set(event.HeaderID, fmt.Sprintf("redrive.%d", l.Sequence))
	return &nats.Msg{Subject: event.ReplaySubject(l.Team, l.Source, l.Name), Header: header, Data: l.Body}
}

// atOnce is how many letters are sent back or removed at the same time; each waits for its acknowledgements.
const atOnce = 32

// Result counts what became of a selection.
type Result struct {
	Done       int `json:"done"`
	Duplicates int `json:"duplicates"`     // of Done; they had been sent back before
	Gone       int `json:"gone,omitempty"` // not of Done: somebody else removed them, or sent them back, at the same time

	Untold error `json:"-"` // why the history of some does not know of it
}

// RedriveAll redrives a selection, so many a second or, with 0, as fast as they are stored, and calls step for each, not
// at the same time. After an error the letters that are left are as they were.
func RedriveAll(ctx context.Context, js jetstream.JetStream, s Selection, by string, rate float64, step func(*Letter)) (Result, error) {
	return all(ctx, js, s, rate, step, func(ctx context.Context, l *Letter) (o outcome, err error) {
		o.duplicate, o.untold, err = Redrive(ctx, js, l, by)
		return o, err
	})
}

// DropAll removes a selection for good and calls step for each, not at the same time.
func DropAll(ctx context.Context, js jetstream.JetStream, s Selection, by string, step func(*Letter)) (Result, error) {
	return all(ctx, js, s, 0, step, func(ctx context.Context, l *Letter) (o outcome, err error) {
		o.gone, o.untold, err = Drop(ctx, js, l, by)
		return o, err
	})
}

// outcome is what became of one letter.
type outcome struct {
	duplicate, gone bool
	untold          error
}

func (r *Result) add(o outcome) {
	r.Untold = cmp.Or(r.Untold, o.untold)
	switch {
	case o.gone:
		r.Gone++
		return
	case o.duplicate:
		r.Duplicates++
	}
	r.Done++
}

func all(ctx context.Context, js jetstream.JetStream, s Selection, rate float64, step func(*Letter), act func(context.Context, *Letter) (outcome, error)) (r Result, err error) {
	group, bounded := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	var mu sync.Mutex
	begin, begun := time.Now(), 0
	found := Each(bounded, js, s, func(l *Letter) error {
		if rate > 0 {
			stream.Pause(bounded, time.Until(begin.Add(time.Duration(float64(begun)/rate*float64(time.Second)))))
		}
		if begun++; bounded.Err() != nil {
			return bounded.Err()
		}
		group.Go(func() error {
			o, err := act(context.WithoutCancel(bounded), l) // what is begun is done: a letter is never left twice
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			if r.add(o); !o.gone {
				step(l)
			}
			return nil
		})
		return bounded.Err()
	})
	if err := group.Wait(); err != nil {
		return r, err
	}
	return r, found
}
