package team

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/stream"
)

// Level is how far a team is, of what can be asked for every few seconds.
type Level struct {
	Team      string
	State     State         // as far as it shows without measuring rates
	Processes int           // that reported lately
	Lag       uint64        // events in EVENTS that it has not processed, including those in flight
	Oldest    time.Time     // when the first of Lag was stored; zero without one
	DroppedIn time.Duration // until retention drops the first of Lag; [math.MaxInt64]: never
	Dead      uint64        // dead letters
}

// States are those that a [Level] has.
var States = []State{Working, Blocked, Hung, Paused, NoProcess}

// Levels returns how far every team is.
func Levels(ctx context.Context, js jetstream.JetStream) ([]Level, error) {
	teams, err := All(ctx, js)
	if err != nil || len(teams) == 0 {
		return nil, err
	}
	processes, err := Processes(ctx, js)
	if err != nil {
		return nil, err
	}
	dead, err := countIn(ctx, js, stream.Dead, teams)
	if err != nil {
		return nil, err
	}
	events, err := js.Stream(ctx, stream.Events)
	if err != nil {
		return nil, err
	}
	all := make([]Level, len(teams))
	for i, t := range teams {
		of := processes[t.Name]
		alive := slices.DeleteFunc(slices.Clone(of), func(p *Process) bool { return !p.Alive(t.info.TimeStamp) })
		all[i] = Level{Team: t.Name, State: t.judge(of).State, Processes: len(alive), Lag: t.Lag(), Dead: dead[t.Name]}
		if all[i].Oldest, all[i].DroppedIn, err = t.first(ctx, events); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// first is when the oldest event that the team has not processed was stored, and how long retention keeps it. Failed
// events move to RETRY, so none of them holds back the durable's position.
func (t *Team) first(ctx context.Context, events jetstream.Stream) (stored time.Time, left time.Duration, err error) {
	if t.Lag() == 0 {
		return time.Time{}, math.MaxInt64, nil
	}
	first, err := stream.FirstFrom(ctx, events, filters(t.info), t.info.AckFloor.Stream+1)
	if errors.Is(err, jetstream.ErrMsgNotFound) { // settled meanwhile
		return time.Time{}, math.MaxInt64, nil
	}
	if err != nil {
		return time.Time{}, 0, err
	}
	return first.Time.UTC(), stream.UntilDropped(events.CachedInfo(), first.Sequence, first.Time, time.Now()), nil
}
