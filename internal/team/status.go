package team

import (
	"context"
	"errors"
	"math"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/stream"
)

// Status is how far a team is.
type Status struct {
	Team string `json:"team"`
	Condition
	Processes   []*Process `json:"processes,omitempty"`  // that were heard of within an hour
	Runs        bool       `json:"runs"`                 // one of them, or one of an older version, runs now
	Events      []string   `json:"events"`               // patterns of the event names that it takes
	Lag         uint64     `json:"lag"`                  // events in EVENTS that it has not processed, including those in flight
	InFlight    int        `json:"in_flight"`            // of Lag, in flight in its processes
	Oldest      *time.Time `json:"oldest,omitempty"`     // when the first of Lag was stored
	Retrying    uint64     `json:"retrying"`             // wait in RETRY for a retry
	Replaying   uint64     `json:"replaying"`            // wait in REPLAY
	Dead        uint64     `json:"dead"`                 // were dead-lettered
	Redelivered int        `json:"redelivered"`          // were redelivered, because they were not acknowledged in time
	Rate        *float64   `json:"rate,omitempty"`       // events in EVENTS processed per second; nil if it was not measured
	DroppedIn   *Seconds   `json:"dropped_in,omitempty"` // until retention drops the first of Lag
	Listening   bool       `json:"listening"`            // a process of its asks for events, or holds some
	NoReplays   bool       `json:"no_replays,omitempty"` // no process of the team has ever read REPLAY

	team *Team
}

// Seconds is a duration that programs read as a number.
type Seconds float64

// Statuses returns the status of every team. It measures rates for the duration of while; 0 skips them.
func Statuses(ctx context.Context, js jetstream.JetStream, while time.Duration) (all []*Status, err error) {
	teams, err := All(ctx, js)
	if err != nil || len(teams) == 0 {
		return nil, err
	}
	counts, err := countTeams(ctx, js, teams)
	if err != nil {
		return nil, err
	}
	processes, err := Processes(ctx, js)
	if err != nil {
		return nil, err
	}
	events, err := js.Stream(ctx, stream.Events)
	if err != nil {
		return nil, err
	}
	replays, err := readers(ctx, js)
	if err != nil {
		return nil, err
	}
	for _, t := range teams {
		s, err := t.status(ctx, events, counts)
		if err != nil {
			return nil, err
		}
		s.Processes = processes[t.Name]
		s.Condition = t.judge(s.Processes)
		s.Runs = t.runs(s.Processes)
		s.NoReplays = !replays[t.Name]
		all = append(all, s)
	}
	if while > 0 {
		err = measureRates(ctx, js, teams, all, while)
	}
	return all, err
}

// readers are the teams of which a process has ever read REPLAY.
func readers(ctx context.Context, js jetstream.JetStream) (map[string]bool, error) {
	s, err := js.Stream(ctx, stream.Replay)
	if err != nil {
		return nil, err
	}
	names, all := s.ConsumerNames(ctx), map[string]bool{}
	for name := range names.Name() {
		all[name] = true
	}
	return all, names.Err()
}

func (t *Team) status(ctx context.Context, events jetstream.Stream, counts map[string]map[string]uint64) (*Status, error) {
	s := &Status{
		Team: t.Name, Events: t.Events, Lag: t.Lag(), InFlight: t.info.NumAckPending,
		Retrying: counts[stream.Retry][t.Name], Replaying: counts[stream.Replay][t.Name], Dead: counts[stream.Dead][t.Name],
		Redelivered: t.info.NumRedelivered, Listening: t.info.NumWaiting > 0 || t.info.NumAckPending > 0, team: t,
	}
	stored, left, err := t.first(ctx, events)
	if err != nil || stored.IsZero() {
		return s, err
	}
	s.Oldest = &stored
	if left < math.MaxInt64 {
		seconds := Seconds(math.Round(left.Seconds()))
		s.DroppedIn = &seconds
	}
	return s, nil
}

// ReadsReplays reports whether a process of the team has ever read REPLAY; true if that is unknown.
func (t *Team) ReadsReplays(ctx context.Context, js jetstream.JetStream) bool {
	_, err := js.Consumer(ctx, stream.Replay, t.Name)
	return !errors.Is(err, jetstream.ErrConsumerNotFound)
}

// countTeams counts the messages of each team in the streams that have some for each.
func countTeams(ctx context.Context, js jetstream.JetStream, teams []*Team) (counts map[string]map[string]uint64, err error) {
	counts = map[string]map[string]uint64{}
	for _, name := range []string{stream.Retry, stream.Replay, stream.Dead} {
		if counts[name], err = countIn(ctx, js, name, teams); err != nil {
			return nil, err
		}
	}
	retries, err := stream.Retries(ctx, js)
	if err != nil {
		return nil, err
	}
	for _, name := range retries[1:] {
		own, err := countIn(ctx, js, name, teams)
		if err != nil {
			return nil, err
		}
		for team, n := range own {
			counts[stream.Retry][team] += n
		}
	}
	return counts, nil
}

// manySubjects are more than NATS is asked to list: each event that waits for a retry has its own.
const manySubjects = 1000

// countIn counts the messages of each team in a stream in whose subjects the team is the second part.
func countIn(ctx context.Context, js jetstream.JetStream, name string, teams []*Team) (map[string]uint64, error) {
	counts := map[string]uint64{}
	s, err := js.Stream(ctx, name)
	if err != nil {
		return nil, err
	}
	switch n := s.CachedInfo().State.NumSubjects; {
	case n == 0:
		return counts, nil
	case n > manySubjects && name != stream.Dead: // whose subjects have no ids
		begin := strings.TrimSuffix(s.CachedInfo().Config.Subjects[0], ">")
		for _, t := range teams {
			if counts[t.Name], err = stream.Count(ctx, js, name, begin+t.Name+".>"); err != nil {
				return nil, err
			}
		}
		return counts, nil
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(">"))
	if err != nil {
		return nil, err
	}
	for subject, n := range info.State.Subjects {
		counts[strings.Split(subject, ".")[1]] += n
	}
	return counts, nil
}

// measureRates looks a second time at what every team has settled.
func measureRates(ctx context.Context, js jetstream.JetStream, before []*Team, all []*Status, while time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(while):
	}
	after, err := All(ctx, js)
	for _, now := range after {
		for i, t := range before {
			if t.Name == now.Name {
				all[i].measure(t, now)
			}
		}
	}
	return err
}

// Compare measures the rate of a team between an earlier status and this one.
func (s *Status) Compare(earlier *Status) { s.measure(earlier.team, s.team) }

func (s *Status) measure(before, after *Team) {
	seconds := after.info.TimeStamp.Sub(before.info.TimeStamp).Seconds()
	if seconds <= 0 {
		return
	}
	rate := float64(settled(after)-settled(before)) / seconds
	s.Rate = &rate
	s.move(before, after, seconds)
}

// settled is how many deliveries to the team were ever acknowledged.
func settled(t *Team) int64 {
	return int64(t.info.Delivered.Consumer) - int64(t.info.NumAckPending)
}

// AtRisk reports whether retention drops an event within a day that the team has not processed.
func (s *Status) AtRisk() bool {
	return s.DroppedIn != nil && time.Duration(*s.DroppedIn)*time.Second < 24*time.Hour
}
