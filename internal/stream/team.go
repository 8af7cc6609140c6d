package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ConnectTeam connects as a team's consumer to where o says, under the team's name and with an inbox of its own. It waits until NATS can
// be reached; settings that will not become right by themselves are an error, and so is the end of ctx.
func ConnectTeam(ctx context.Context, team string, o Options) (nc *nats.Conn, err error) {
	o.User, o.Name, o.InboxPrefix = team, "sluice "+team, "_INBOX_"+team
	err = WaitFor(ctx, o.Log, "NATS", func() error {
		nc, err = Connect(ctx, o)
		return err
	})
	return nc, err
}

// Consumer is the durable consumer of a team, with the subjects that it takes.
func Consumer(team string, filters []string) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable: team, Description: "Sluice: team " + team, FilterSubjects: filters,
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: AckWait, MaxAckPending: maxAckPending,
		MaxDeliver: -1, // past a limit there is only silence: the worker counts attempts
	}
}

const (
	// AckWait is how long NATS waits for an acknowledgement of an event that it delivered; those in flight report every third
	// of it that they are in progress, so it is how soon the events of a process that was killed go to another.
	AckWait = 15 * time.Second

	// maxAckPending bounds the events that all instances hold together. At the bound nothing new is given out: so it is
	// high, and what a process holds is bounded by its intakes.
	maxAckPending = 20_000
)

// Durable makes a team's durable consumer as it shall be, or changes the one that is there if compatible returns no
// error. Where it began cannot be changed, and must not: one that is there goes on where it was. The error is
// [ErrNotMade] where this user may not make one, and [ErrNotChanged], beside the consumer as it is, where it may not
// change it.
func Durable(ctx context.Context, js jetstream.JetStream, name string, want jetstream.ConsumerConfig, compatible func(have jetstream.ConsumerConfig) error) (jetstream.Consumer, error) {
	found, err := js.Consumer(ctx, name, want.Durable)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		made, err := js.CreateOrUpdateConsumer(ctx, name, want)
		return made, refusedAs(ErrNotMade, err)
	}
	if err != nil {
		return nil, err
	}
	have := found.CachedInfo().Config
	if err := compatible(have); err != nil || alike(have, want) {
		return found, err
	}
	want.Metadata = have.Metadata // in which it says who paused the team
	want.DeliverPolicy, want.OptStartTime, want.OptStartSeq = have.DeliverPolicy, have.OptStartTime, have.OptStartSeq
	changed, err := js.CreateOrUpdateConsumer(ctx, name, want)
	if err = refusedAs(ErrNotChanged, err); errors.Is(err, ErrNotChanged) {
		return found, err
	}
	return changed, err
}

// Mark is the key of a durable's metadata under which an operator keeps what only the team knows. The ids of its dead
// letters have it, because the stream DEAD, which teams share, takes no second message of an id that another could guess.
const Mark = "sluice.mark"

// What the user of a team may not do where an operator makes the team's consumers.
var (
	ErrNotMade    = errors.New("it does not exist, and this user may not create it")
	ErrNotChanged = errors.New("this user may not change it")
)

// refusedAs tells that this user has no right to a request: in the account of a team nobody is there to answer it.
func refusedAs(refused, err error) error {
	if errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrJetStreamNotEnabled) {
		return fmt.Errorf("%w (%w)", refused, err)
	}
	return err
}

// alike reports whether a consumer is as it shall be, where it began aside.
func alike(have, want jetstream.ConsumerConfig) bool {
	return slices.Equal(filtersOf(have), filtersOf(want)) && have.AckWait == want.AckWait && have.MaxAckPending == want.MaxAckPending &&
		have.MaxDeliver == want.MaxDeliver && have.Description == want.Description && have.PriorityPolicy == want.PriorityPolicy &&
		slices.Equal(have.PriorityGroups, want.PriorityGroups) && have.PinnedTTL == want.PinnedTTL
}

// filtersOf are the subjects that a consumer takes, sorted.
func filtersOf(c jetstream.ConsumerConfig) []string {
	if c.FilterSubject != "" {
		return []string{c.FilterSubject}
	}
	return slices.Sorted(slices.Values(c.FilterSubjects))
}

// Pinned is the durable consumer of a team that takes every event, of whose instances NATS gives events to one.
func Pinned(team string) jetstream.ConsumerConfig {
	c := Consumer(team, nil)
	c.FilterSubject, c.MaxAckPending = "events.>", maxPinnedPending
	c.PriorityPolicy, c.PriorityGroups, c.PinnedTTL = jetstream.PriorityPolicyPinned, []string{team}, PinnedTTL
	return c
}

const (
	// PinnedTTL is how soon another instance takes over.
	PinnedTTL        = 5 * time.Second
	maxPinnedPending = 1_000_064 // the most that the archive can be told to hold, and one fetch
)
