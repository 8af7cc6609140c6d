// Package migrate moves all streams from one NATS to another, with the positions of all teams.
//
// It holds EVENTS and QUARANTINE first: nothing can be stored there any more, and gateways keep what comes in their
// journals. So what is copied is complete. When a gateway starts with the other NATS, it hands over its journal there.
//
// Each step can be repeated: what was copied is compared again, and what was broken off is copied anew.
package migrate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/stream"
)

// Migration is from one NATS to another.
type Migration struct {
	From, To jetstream.JetStream
	Replicas int
	Say      func(stream, what string) // progress
}

// Stream is one of those to move.
type Stream struct {
	Name     string
	Messages uint64
	Bytes    uint64
	Teams    []string // its durable consumers
}

// Busy is a team whose process takes events while they are to be moved.
type Busy struct{ Team, Stream string }

// hold stands before the subjects of a stream that is held.
const hold = "held-for-migration."

// Streams are all that are worth moving, and the teams that still take from them. How processes are, each says again.
func (m *Migration) Streams(ctx context.Context) (all []Stream, busy []Busy, err error) {
	list := m.From.ListStreams(ctx)
	for info := range list.Info() {
		if info.Config.Name == "KV_"+stream.Processes {
			continue
		}
		one := Stream{Name: info.Config.Name, Messages: info.State.Msgs, Bytes: info.State.Bytes}
		s, err := m.From.Stream(ctx, one.Name)
		if err != nil {
			return nil, nil, err
		}
		consumers := s.ListConsumers(ctx)
		for c := range consumers.Info() {
			if c.Config.Durable == "" {
				continue
			}
			if one.Teams = append(one.Teams, c.Name); c.NumWaiting > 0 {
				busy = append(busy, Busy{c.Name, one.Name})
			}
		}
		if consumers.Err() != nil {
			return nil, nil, consumers.Err()
		}
		slices.Sort(one.Teams)
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b Stream) int { return strings.Compare(a.Name, b.Name) })
	return all, busy, list.Err()
}

// Begins reports whether nothing of AUDIT is on the other side yet: what is written there now goes along. Later it would make
// a difference.
func (m *Migration) Begins(ctx context.Context) (bool, error) {
	there, err := m.To.Stream(ctx, stream.Audit)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return true, nil
	}
	return err == nil && there.CachedInfo().State.LastSeq == 0, err
}

// Run moves the streams. On a return without an error each is on the other side as it is here.
func (m *Migration) Run(ctx context.Context, all []Stream) error {
	for _, name := range []string{stream.Events, stream.Quarantine} {
		if err := m.rename(ctx, name, func(subject string) string { return hold + strings.TrimPrefix(subject, hold) }); err != nil {
			return fmt.Errorf("hold %s: %w", name, err)
		}
		m.Say(name, "held: gateways keep what comes in their journals")
	}
	for _, s := range all {
		if err := m.move(ctx, s.Name); err != nil {
			return fmt.Errorf("stream %s: %w", s.Name, err)
		}
	}
	return nil
}

// Cancel lets the streams here take messages again.
func (m *Migration) Cancel(ctx context.Context) error {
	for _, name := range []string{stream.Events, stream.Quarantine} {
		if err := m.rename(ctx, name, func(subject string) string { return strings.TrimPrefix(subject, hold) }); err != nil {
			return fmt.Errorf("release %s: %w", name, err)
		}
	}
	return nil
}

func (m *Migration) rename(ctx context.Context, name string, as func(string) string) error {
	s, err := m.From.Stream(ctx, name)
	if err != nil {
		return err
	}
	config := s.CachedInfo().Config
	before := slices.Clone(config.Subjects)
	for i := range config.Subjects {
		config.Subjects[i] = as(config.Subjects[i])
	}
	if slices.Equal(before, config.Subjects) {
		return nil
	}
	_, err = m.From.UpdateStream(ctx, config)
	return err
}

// move copies a stream unless it is on the other side already, and compares the two. Gateways go on writing to REFUSED
// meanwhile: of that there is a copy.
func (m *Migration) move(ctx context.Context, name string) error {
	here, err := m.From.Stream(ctx, name)
	if err != nil {
		return err
	}
	there, err := m.To.Stream(ctx, name)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
	case err != nil:
		return err
	case there.CachedInfo().State.LastSeq == 0: // a gateway has made it, and nothing was ever in it
		if err := m.To.DeleteStream(ctx, name); err != nil {
			return err
		}
	case name == stream.Refused:
		return nil
	default:
		return m.compare(ctx, name)
	}
	m.Say(name, fmt.Sprintf("copying %d messages", here.CachedInfo().State.Msgs))
	config := here.CachedInfo().Config
	config.Replicas = m.Replicas
	for i := range config.Subjects {
		config.Subjects[i] = strings.TrimPrefix(config.Subjects[i], hold)
	}
	if err := m.copy(ctx, config); err != nil || name == stream.Refused {
		return err
	}
	return m.compare(ctx, name)
}

// copy clears away what a migration before this one has broken off: a cluster keeps its name, and says that there is no such
// stream.
func (m *Migration) copy(ctx context.Context, config jetstream.StreamConfig) error {
	const exists = 10130 // NATS: stream name already in use, cannot restore
	for deadline := time.Now().Add(time.Minute); ; {
		err := copyStream(ctx, m.From.Conn(), m.To.Conn(), config)
		var refused *jetstream.APIError
		if err == nil || time.Now().After(deadline) || !errors.As(err, &refused) || refused.ErrorCode != exists {
			return err
		}
		if _, err := m.To.Stream(ctx, config.Name); !errors.Is(err, jetstream.ErrStreamNotFound) {
			return fmt.Errorf("it has come there meanwhile: migrate again (%w)", refused)
		}
		_ = m.To.DeleteStream(ctx, config.Name) // the next attempt shows whether it could
		stream.Pause(ctx, time.Second)
	}
}
