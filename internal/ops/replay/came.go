package replay

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/history"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

// Came is what a team has done with the copies of a replay so far, as its history tells it.
type Came struct {
	Processed int            `json:"processed"`
	Notes     map[string]int `json:"notes,omitempty"` // of Processed: what the handler said about them, such as Duplicate
	Skipped   int            `json:"skipped,omitempty"`
	Retrying  int            `json:"retrying,omitempty"` // failed, and are tried again
	Dead      int            `json:"dead,omitempty"`     // were dead-lettered; those that are dropped by now among them
	Waiting   int            `json:"waiting,omitempty"`  // were not taken yet
	Unknown   int            `json:"unknown,omitempty"`  // were taken; what became of them is not told, or not yet
}

// Came finds out. A replay to a URL has come to what its progress says.
func (e *Entry) Came(ctx context.Context, js jetstream.JetStream) (*Came, error) {
	told := map[uint64]history.Entry{}
	err := history.Team(ctx, js, e.Team, e.Started, func(h history.Entry) {
		if h.Replay == e.ID {
			told[h.Sequence] = h // the last word counts
		}
	})
	if err != nil {
		return nil, err
	}
	c := &Came{Notes: map[string]int{}}
	for _, h := range told {
		c.add(h)
	}
	if c.Retrying, err = e.retrying(ctx, js); err != nil {
		return nil, err
	}
	left := max(0, e.Progress.Replayed-len(told)-c.Retrying)
	queued, err := e.Queued(ctx, js)
	c.Waiting = min(left, queued)
	c.Unknown = left - c.Waiting
	return c, err
}

func (c *Came) add(h history.Entry) {
	switch h.Outcome {
	case history.Skipped:
		c.Skipped++
	case history.Dead, history.Dropped:
		c.Dead++
	case history.Redriven:
		c.Unknown++
	case history.Processed:
		if c.Processed++; h.Note != "" {
			c.Notes[h.Note]++
		}
	}
}

// retrying counts the copies that wait for a retry.
func (e *Entry) retrying(ctx context.Context, js jetstream.JetStream) (count int, err error) {
	of := func(m *jetstream.RawStreamMsg) error {
		if m.Header.Get(event.HeaderReplay) == e.ID {
			count++
		}
		return nil
	}
	if err := stream.Scan(ctx, js, stream.Retry, "retry."+e.Team+".>", of); err != nil {
		return count, err
	}
	own, err := stream.HasRetry(ctx, js, e.Team)
	if err == nil && own {
		err = stream.Scan(ctx, js, stream.RetryOf(e.Team), "again."+e.Team+".>", of)
	}
	return count, err
}

// Queued counts what waits for the team in REPLAY, of this replay and others.
func (e *Entry) Queued(ctx context.Context, js jetstream.JetStream) (count int, err error) {
	s, err := js.Stream(ctx, stream.Replay)
	if err != nil {
		return 0, err
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(event.ReplayFilter(e.Team)))
	if err != nil {
		return 0, err
	}
	for _, n := range info.State.Subjects {
		count += int(n)
	}
	return count, nil
}

// Settled reports whether the team is done with all copies.
func (c *Came) Settled() bool { return c.Retrying == 0 && c.Waiting == 0 && c.Unknown == 0 }

// String is what it came to in words.
func (c *Came) String() string {
	var words []string
	add := func(n int, what string) {
		if n > 0 {
			words = append(words, fmt.Sprintf("%d %s", n, what))
		}
	}
	add(c.Processed, "processed"+c.notes())
	add(c.Skipped, "skipped")
	add(c.Dead, "dead-lettered")
	add(c.Retrying, "failed and retried")
	add(c.Waiting, "pending")
	add(c.Unknown, "unknown")
	if len(words) == 0 {
		return "nothing"
	}
	return strings.Join(words, ", ")
}

func (c *Came) notes() string {
	var words []string
	for _, note := range slices.Sorted(maps.Keys(c.Notes)) {
		words = append(words, fmt.Sprintf("%s: %d", note, c.Notes[note]))
	}
	if len(words) == 0 {
		return ""
	}
	return " (" + strings.Join(words, ", ") + ")"
}
