package migrate

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

// compare holds a stream there against the one here: each message by its sequence, time, subject, id and body, and each
// team by its position.
func (m *Migration) compare(ctx context.Context, name string) error {
	here, err := contentOf(ctx, m.From, name)
	if err != nil {
		return err
	}
	there, err := contentOf(ctx, m.To, name)
	for end := time.Now().Add(answerWithin); err != nil && ctx.Err() == nil && time.Now().Before(end); { // a cluster elects a leader for it first
		stream.Pause(ctx, 100*time.Millisecond)
		there, err = contentOf(ctx, m.To, name)
	}
	if err != nil {
		return err
	}
	if here.messages != there.messages || here.sum != there.sum {
		return fmt.Errorf("it is not the same there: %d messages here, %d there; remove it there (nats stream rm %s) and migrate again", here.messages, there.messages, name)
	}
	for end := time.Now().Add(answerWithin); !slices.Equal(here.teams, there.teams) && time.Now().Before(end); { // a cluster makes them one by one
		stream.Pause(ctx, 100*time.Millisecond)
		if there.teams, err = teamsOf(ctx, m.To, name); err != nil {
			return err
		}
	}
	if !slices.Equal(here.teams, there.teams) {
		return fmt.Errorf("the positions of teams are not the same there: %q here, %q there; stop the teams, remove the stream there (nats stream rm %s) and migrate again",
			here.teams, there.teams, name)
	}
	m.Say(name, fmt.Sprintf("the same on both sides: %d messages, %d teams", here.messages, len(here.teams)))
	return nil
}

type content struct {
	messages int
	sum      [sha256.Size]byte
	teams    []string
}

func contentOf(ctx context.Context, js jetstream.JetStream, name string) (c content, err error) {
	hash := sha256.New()
	err = stream.Scan(ctx, js, name, ">", func(msg *jetstream.RawStreamMsg) error {
		c.messages++
		fmt.Fprintf(hash, "%d %s %s %q %d\n", msg.Sequence, msg.Time.UTC().Format(time.RFC3339Nano), msg.Subject, msg.Header.Get(event.HeaderID), len(msg.Data))
		_, _ = hash.Write(msg.Data)
		return nil
	})
	if err != nil {
		return c, err
	}
	c.sum = [sha256.Size]byte(hash.Sum(nil))
	c.teams, err = teamsOf(ctx, js, name)
	return c, err
}

// teamsOf says how far each team is.
func teamsOf(ctx context.Context, js jetstream.JetStream, name string) (teams []string, err error) {
	s, err := js.Stream(ctx, name)
	if err != nil {
		return nil, err
	}
	consumers := s.ListConsumers(ctx)
	for info := range consumers.Info() {
		if info.Config.Durable != "" {
			teams = append(teams, fmt.Sprintf("%s acknowledged to %d, delivered to %d, %d in flight", info.Name, info.AckFloor.Stream, info.Delivered.Stream, info.NumAckPending))
		}
	}
	slices.Sort(teams)
	return teams, consumers.Err()
}
