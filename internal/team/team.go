// Package team reads from the streams which teams there are, which events each takes, and how far it is.
package team

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

// TargetPrefix begins the names of the teams that the consumer forward has for its targets.
const TargetPrefix = "forward-"

// Team is a durable consumer of the stream EVENTS.
type Team struct {
	Name   string
	Events []string // patterns of the event names that it takes
	info   *jetstream.ConsumerInfo
}

// All returns the teams, sorted by name.
func All(ctx context.Context, js jetstream.JetStream) (teams []*Team, err error) {
	events, err := js.Stream(ctx, stream.Events)
	if err != nil {
		return nil, err
	}
	consumers := events.ListConsumers(ctx)
	for info := range consumers.Info() {
		if info.Config.Durable != "" {
			teams = append(teams, newTeam(info))
		}
	}
	slices.SortFunc(teams, func(a, b *Team) int { return strings.Compare(a.Name, b.Name) })
	return teams, consumers.Err()
}

func newTeam(info *jetstream.ConsumerInfo) *Team {
	t := &Team{Name: info.Config.Durable, info: info}
	for _, filter := range filters(info) {
		t.Events = append(t.Events, strings.TrimPrefix(filter, event.Filter("")))
	}
	return t
}

func filters(info *jetstream.ConsumerInfo) []string {
	if info.Config.FilterSubject != "" {
		return []string{info.Config.FilterSubject}
	}
	if len(info.Config.FilterSubjects) > 0 {
		return info.Config.FilterSubjects
	}
	return []string{event.Filter(">")}
}

// Lag is how many events in EVENTS the team had not processed when it was looked up, including those in flight.
func (t *Team) Lag() uint64 { return t.info.NumPending + uint64(t.info.NumAckPending) }

// Takes reports whether the team takes events of a name.
func (t *Team) Takes(name string) bool {
	return slices.ContainsFunc(t.Events, func(pattern string) bool { return event.Match(pattern, name) })
}

// ErrUnknown means that there is no team of that name.
var ErrUnknown = errors.New("there is no such team")

// Find returns the team of a name; the error is [ErrUnknown] and names those that there are.
func Find(ctx context.Context, js jetstream.JetStream, name string) (*Team, error) {
	teams, err := All(ctx, js)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(teams))
	for i, t := range teams {
		if names[i] = t.Name; t.Name == name {
			return t, nil
		}
	}
	if len(teams) == 0 {
		return nil, fmt.Errorf("%w: %s: no team has started yet", ErrUnknown, name)
	}
	return nil, fmt.Errorf("%w: %s: use %s", ErrUnknown, name, strings.Join(names, ", "))
}
