package team

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/stream"
)

// places are the streams in which a team has a durable consumer. Not every team has all of them.
var places = []string{stream.Events, stream.Retry, stream.Replay}

// Who paused a team, and when, is metadata of its durables, and so survives restarts.
const (
	pausedBy = "sluice.paused_by"
	pausedAt = "sluice.paused_at"
)

// forEver is longer than anybody waits.
const forEver = 100 * 365 * 24 * time.Hour

// Pause stops NATS from delivering events to a team until [Team.Resume], across restarts of every part. The team's
// processes finish the events in flight. NATS keeps who paused it. The error says which consumer failed; calling Pause
// again is safe.
func (t *Team) Pause(ctx context.Context, js jetstream.JetStream, by string, now time.Time) error {
	return t.each(ctx, js, func(name string, c jetstream.ConsumerConfig) error {
		c.Metadata = maps.Clone(c.Metadata)
		if c.Metadata == nil {
			c.Metadata = map[string]string{}
		}
		c.Metadata[pausedBy], c.Metadata[pausedAt] = by, now.UTC().Format(time.RFC3339)
		if _, err := js.UpdateConsumer(ctx, name, c); err != nil {
			return err
		}
		_, err := js.PauseConsumer(ctx, name, t.Name, now.Add(forEver))
		return err
	})
}

// Resume ends a pause. A team that is not paused is no error.
func (t *Team) Resume(ctx context.Context, js jetstream.JetStream) error {
	return t.each(ctx, js, func(name string, c jetstream.ConsumerConfig) error {
		if _, err := js.ResumeConsumer(ctx, name, t.Name); err != nil {
			return err
		}
		c.Metadata, c.PauseUntil = maps.Clone(c.Metadata), nil
		delete(c.Metadata, pausedBy)
		delete(c.Metadata, pausedAt)
		_, err := js.UpdateConsumer(ctx, name, c)
		return err
	})
}

// Remove deletes for good a team's durable consumers, its pending events in RETRY and REPLAY, and what its processes
// reported. What it did with events stays in HISTORY; its dead letters stay too. No process of the team may run: it would
// create the consumers again, and start from the beginning.
func (t *Team) Remove(ctx context.Context, js jetstream.JetStream) error {
	err := t.each(ctx, js, func(name string, _ jetstream.ConsumerConfig) error { return js.DeleteConsumer(ctx, name, t.Name) })
	if err != nil {
		return err
	}
	for _, name := range []string{stream.Retry, stream.Replay, stream.Begun} {
		if err := purge(ctx, js, name, strings.ToLower(name)+"."+t.Name+".>"); err != nil {
			return fmt.Errorf("purge %s of %s: %w", name, t.Name, err)
		}
	}
	if err := js.DeleteStream(ctx, stream.RetryOf(t.Name)); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("the stream %s: %w", stream.RetryOf(t.Name), err)
	}
	if err := purge(ctx, js, "KV_"+stream.Processes, stream.Told+t.Name+".>"); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("what the processes of %s reported: %w", t.Name, err)
	}
	return nil
}

// DropLetters removes a team's dead letters.
func (t *Team) DropLetters(ctx context.Context, js jetstream.JetStream) error {
	return purge(ctx, js, stream.Dead, "dead."+t.Name+".>")
}

func purge(ctx context.Context, js jetstream.JetStream, name, subject string) error {
	s, err := js.Stream(ctx, name)
	if err != nil {
		return err
	}
	return s.Purge(ctx, jetstream.WithPurgeSubject(subject))
}

// each calls do for every durable of the team.
func (t *Team) each(ctx context.Context, js jetstream.JetStream, do func(stream string, c jetstream.ConsumerConfig) error) error {
	for _, name := range append(places[:len(places):len(places)], stream.RetryOf(t.Name)) {
		found, err := js.Consumer(ctx, name, t.Name)
		if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) && name == stream.RetryOf(t.Name) {
			continue
		}
		if err == nil {
			err = do(name, found.CachedInfo().Config)
		}
		if err != nil {
			return fmt.Errorf("the consumer %s of the stream %s: %w", t.Name, name, err)
		}
	}
	return nil
}

// isPaused reports whether a team's durable is paused, by whom and since when, as far as that is known.
func isPaused(info *jetstream.ConsumerInfo) (by string, since *time.Time, paused bool) {
	if !info.Paused {
		return "", nil, false
	}
	if at, err := time.Parse(time.RFC3339, info.Config.Metadata[pausedAt]); err == nil {
		since = &at
	}
	if by = info.Config.Metadata[pausedBy]; by != "" {
		by = "by " + by
	}
	return by, since, true
}

// Paused reports whether the team is held, "by" whom and since when, as far as that is known.
func (t *Team) Paused() (by string, since *time.Time, paused bool) { return isPaused(t.info) }
