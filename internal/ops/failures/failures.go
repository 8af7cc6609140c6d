// Package failures groups the errors of a team's handler: those of events that wait for a retry, and those of its dead
// letters.
package failures

import (
	"cmp"
	"context"
	"regexp"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

// Group is one error, whatever numbers stand in it.
type Group struct {
	Error    string    `json:"error"` // as it was the last time
	Retrying int       `json:"retrying"`
	Dead     int       `json:"dead"`
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
	Events   []string  `json:"events"`   // names, the first few
	Delivery string    `json:"delivery"` // of the last
	Sequence uint64    `json:"sequence"` // of the last, in EVENTS
}

// Looked is how many of the last messages of each stream are looked at, those of other teams among them.
const Looked = 500

const fewNames = 5

// Of returns the errors of a team, the most frequent first. It looks at the last messages of the streams only, and so
// takes as long with many as with few.
func Of(ctx context.Context, js jetstream.JetStream, team string) (groups []*Group, err error) {
	of := map[string]*Group{}
	add := func(dead bool) func(*jetstream.RawStreamMsg) error {
		return func(m *jetstream.RawStreamMsg) error {
			if e, err := event.Parse(m.Subject, m.Header, m.Data); err == nil { // what is no event is nobody's
				note(of, e, m, dead)
			}
			return nil
		}
	}
	if err := stream.ScanLast(ctx, js, stream.Dead, "dead."+team+".>", Looked, add(true)); err != nil {
		return nil, err
	}
	retries, err := stream.Retries(ctx, js)
	if err != nil {
		return nil, err
	}
	for _, name := range retries {
		subject := "retry." + team + ".>"
		if name != stream.Retry {
			subject = "again." + team + ".>"
		}
		if err := stream.ScanLast(ctx, js, name, subject, Looked, add(false)); err != nil {
			return nil, err
		}
	}
	for _, g := range of {
		groups = append(groups, g)
	}
	slices.SortFunc(groups, func(a, b *Group) int {
		return cmp.Or(-cmp.Compare(a.Dead+a.Retrying, b.Dead+b.Retrying), -a.Last.Compare(b.Last), cmp.Compare(a.Error, b.Error))
	})
	return groups, nil
}

var numbers = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}|0x[0-9a-fA-F]+|\d+`)

// note counts an event by the last of its errors.
func note(of map[string]*Group, e *event.Event, m *jetstream.RawStreamMsg, dead bool) {
	failed := event.Failure{At: m.Time.UTC(), Error: "no error was told"}
	if text := m.Header.Get(event.HeaderError); text != "" {
		failed.Error = text
	} else if n := len(e.Failures); n > 0 {
		failed = e.Failures[n-1]
	}
	key := numbers.ReplaceAllString(failed.Error, "#")
	g := of[key]
	if g == nil {
		g = &Group{First: failed.At}
		of[key] = g
	}
	if dead {
		g.Dead++
	} else {
		g.Retrying++
	}
	if failed.At.Before(g.First) {
		g.First = failed.At
	}
	if !failed.At.Before(g.Last) {
		g.Last, g.Error, g.Delivery, g.Sequence = failed.At, failed.Error, e.Delivery, e.Sequence
	}
	if len(g.Events) < fewNames && !slices.Contains(g.Events, e.Name) {
		g.Events = append(g.Events, e.Name)
	}
}
