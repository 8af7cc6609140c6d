package stream

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Whoever may publish a scheduled message into a stream may do much in it: name any of its subjects as target, copy any
// of its messages, roll it up and so empty it. So a team that has an account has a stream of its own for its retries, and
// no right to publish in the one that the others share.

// RetryOf is the name of a team's own stream for its retries.
func RetryOf(team string) string { return Retry + "_" + team }

const (
	ownRetryBytes      = 1 << 30 // beyond it, the oldest retries of the team are dropped; NATS sets as much aside
	leastOwnRetryBytes = 16 << 20
)

func schedules(c *jetstream.StreamConfig) {
	c.Retention = jetstream.WorkQueuePolicy
	c.AllowMsgSchedules, c.AllowRollup = true, true
}

// MakeRetry makes a team's own stream for its retries, with as many copies as EVENTS has. One that is there stays.
func MakeRetry(ctx context.Context, js jetstream.JetStream, team string) error {
	events, err := js.Stream(ctx, Events)
	if err != nil {
		return explain(Events, err)
	}
	name := RetryOf(team)
	if _, err := js.Stream(ctx, name); !errors.Is(err, jetstream.ErrStreamNotFound) {
		return err
	}
	want := jetstream.StreamConfig{
		Name: name, Description: "Sluice: events that wait until " + team + " tries them again", Subjects: []string{"again." + team + ".>"},
		Storage: jetstream.FileStorage, Replicas: events.CachedInfo().Config.Replicas, Duplicates: DuplicateWindow,
		Discard: jetstream.DiscardOld, MaxAge: keptAge, MaxBytes: ownRetryBytes, AllowDirect: true, Compression: jetstream.S2Compression,
	}
	schedules(&want)
	for {
		_, err := js.CreateStream(ctx, want)
		if !lacksRoom(err) || want.MaxBytes <= leastOwnRetryBytes {
			return explainUnlessNil(name, err)
		}
		want.MaxBytes /= 2
	}
}

func explainUnlessNil(name string, err error) error {
	if err == nil {
		return nil
	}
	return explain(name, err)
}

// HasRetry reports whether a team has a stream of its own for its retries. A user that may not even ask has none.
func HasRetry(ctx context.Context, js jetstream.JetStream, team string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	_, err := js.Stream(ctx, RetryOf(team))
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, jetstream.ErrStreamNotFound), errors.Is(err, nats.ErrNoResponders), errors.Is(err, context.DeadlineExceeded):
		return false, nil
	}
	return false, fmt.Errorf("stream %s: %w", RetryOf(team), err)
}

// Retries are the streams in which events wait for a retry: the one that teams share, and those of teams that have their own.
func Retries(ctx context.Context, js jetstream.JetStream) (names []string, err error) {
	names = []string{Retry}
	own := js.StreamNames(ctx, jetstream.WithStreamListSubject("again.>"))
	for name := range own.Name() {
		names = append(names, name)
	}
	return names, own.Err()
}
