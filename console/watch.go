package main

import (
	"context"
	"maps"
	"math"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/ops/doctor"
	"github.com/sluicehq/sluice/internal/ops/failures"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/internal/team"
)

// watch looks at everything from time to time, for all browsers together: however many are open, NATS is asked as often.
// It remembers the last hour, in memory.
type watch struct {
	js      jetstream.JetStream
	ask     sync.Mutex // one look at a time
	mu      sync.Mutex
	looks   []*doctor.Now // of the last seconds, the oldest first: rates are measured over them
	failed  error         // of the last look
	series  map[string]*series
	answers map[string]map[string]uint64 // of each gateway, when it reported last
	errors  map[string]grouped           // of teams, as they were found last
	day     uint64                       // first sequence of the last 24 hours
	dayAt   time.Time                    // when that was asked for; of who has ask
}

// How often it looks, with somebody before the screen and without, and how long rates are measured.
const (
	watchOften  = 2 * time.Second
	watchSeldom = 10 * time.Second
	ratesOver   = 20 * time.Second
	dayEvery    = time.Minute
)

// Names of series, beside lag/TEAM.
const (
	seriesEvents  = "events"
	seriesRefused = "refused"
)

func newWatch(js jetstream.JetStream) *watch {
	return &watch{js: js, series: map[string]*series{}, answers: map[string]map[string]uint64{}, errors: map[string]grouped{}}
}

// run looks until ctx ends, often while busy reports that somebody is there.
func (w *watch) run(ctx context.Context, often time.Duration, busy func() bool) {
	filled := false
	for ctx.Err() == nil {
		if err := w.look(ctx); err == nil && !filled {
			filled = w.fill(ctx) == nil
		}
		for wait := time.Duration(0); ctx.Err() == nil && wait < watchSeldom && (wait == 0 || !busy()); wait += often {
			stream.Pause(ctx, often)
		}
	}
}

// look looks once.
func (w *watch) look(ctx context.Context) error {
	w.ask.Lock()
	defer w.ask.Unlock()
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	now, err := doctor.Look(ctx, w.js)
	day, asks := uint64(0), time.Since(w.dayAt) > dayEvery // which only who looks reads
	if err == nil && asks {
		day, err = firstSince(ctx, w.js, now, now.At.Add(-24*time.Hour))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failed = err; err != nil {
		return err
	}
	if asks {
		w.day, w.dayAt = day, time.Now()
	}
	w.remember(now)
	return nil
}

// remember adds a look to the last hour.
func (w *watch) remember(now *doctor.Now) {
	if len(w.looks) > 0 {
		now.Compare(w.looks[0])
		last := w.looks[len(w.looks)-1]
		if arrived := int64(now.Events().State.LastSeq) - int64(last.Events().State.LastSeq); arrived >= 0 {
			w.of(seriesEvents).add(minute(now.At), float64(arrived))
		}
	}
	for len(w.looks) > 0 && now.At.Sub(w.looks[0].At) > ratesOver {
		w.looks = w.looks[1:]
	}
	w.looks = append(w.looks, now)
	for _, t := range now.Teams {
		w.of("lag/"+t.Team).most(minute(now.At), float64(t.Lag))
	}
	for _, g := range now.Gateways {
		w.count(g, minute(now.At))
	}
}

// count adds the refusals of a gateway since its last report.
func (w *watch) count(g *team.Gateway, minute int64) {
	before, known := w.answers[g.Process]
	w.answers[g.Process] = maps.Clone(g.Answers)
	if !known {
		w.of(seriesRefused).add(minute, 0)
		return
	}
	w.of(seriesRefused).add(minute, math.Max(0, float64(refusals(g.Answers))-float64(refusals(before))))
}

// taken are the answers that refuse nothing.
var taken = map[string]bool{"ok": true, "duplicate": true, "quarantined_unroutable": true, "quarantined_late": true, "quarantined_replayed": true}

func refusals(answers map[string]uint64) (n uint64) {
	for answer, count := range answers {
		if !taken[answer] {
			n += count
		}
	}
	return n
}

func minute(at time.Time) int64 { return at.Unix() / 60 }

// of is a series, which is made where there is none.
func (w *watch) of(name string) *series {
	if w.series[name] == nil {
		w.series[name] = newSeries()
	}
	return w.series[name]
}

// fill adds the events of the hour before the first look: the stream knows when each was stored.
func (w *watch) fill(ctx context.Context) error {
	now, _, _ := w.now()
	end, last := now.At.Truncate(time.Minute), uint64(0)
	for i := range minutes {
		begin := end.Add(time.Duration(i-minutes+1) * time.Minute)
		first, err := firstSince(ctx, w.js, now, begin)
		if err != nil {
			return err
		}
		if last > 0 {
			w.addEvents(minute(begin)-1, first-last)
		}
		last = first
	}
	w.addEvents(minute(end), now.Events().State.LastSeq+1-min(last, now.Events().State.LastSeq+1))
	return nil
}

// firstSince is the sequence of the first event that was stored then or later: the next one, where there is none yet.
func firstSince(ctx context.Context, js jetstream.JetStream, now *doctor.Now, since time.Time) (uint64, error) {
	first, err := stream.FirstSince(ctx, js, stream.Events, since)
	if first == 0 {
		first = now.Events().State.LastSeq + 1
	}
	return first, err
}

func (w *watch) addEvents(minute int64, n uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.of(seriesEvents).add(minute, float64(n))
}

// now is the last look, the sequence with which its last 24 hours begin, and why there is no later look; nil before the
// first.
func (w *watch) now() (now *doctor.Now, day uint64, failed error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.looks) > 0 {
		now = w.looks[len(w.looks)-1]
	}
	return now, w.day, w.failed
}

// latest is the last look; where there is none yet, or the last one failed, it looks itself.
func (w *watch) latest(ctx context.Context) (*doctor.Now, uint64, error) {
	if now, day, failed := w.now(); now != nil && failed == nil {
		return now, day, nil
	}
	if err := w.look(ctx); err != nil {
		return nil, 0, err
	}
	return w.now()
}

// grouped are the errors of a team, as they were at a time.
type grouped struct {
	at     time.Time
	groups []*failures.Group
}

// errorsFor is how long the errors of a team are shown as they were found: many browsers cost as much as one.
const errorsFor = 5 * time.Second

// errorsOf are the errors of a team, which are few seconds old at most.
func (w *watch) errorsOf(ctx context.Context, name string) ([]*failures.Group, error) {
	w.mu.Lock()
	known := w.errors[name]
	w.mu.Unlock()
	if time.Since(known.at) < errorsFor {
		return known.groups, nil
	}
	groups, err := failures.Of(ctx, w.js, name)
	if err == nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.errors[name] = grouped{time.Now(), groups}
	}
	return groups, err
}

// hour are the values of a series of the last hour.
func (w *watch) hour(name string, now time.Time) []float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.series[name]; s != nil {
		return s.values(minute(now))
	}
	return nil
}
