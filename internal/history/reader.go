package history

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/stream"
)

// Of returns the history of the event at a sequence of EVENTS, in all teams, oldest first.
func Of(ctx context.Context, js jetstream.JetStream, sequence uint64) (entries []Entry, err error) {
	where := stream.Range{Filters: []string{pageOf(sequence)}}
	err = read(ctx, js, where, func(e Entry) {
		if e.Sequence == sequence {
			entries = append(entries, e)
		}
	})
	slices.SortStableFunc(entries, func(a, b Entry) int { return a.At.Compare(b.At) })
	return entries, err
}

// most messages are read for one event by [Near]: those of an hour in which ten processes did one event a second each.
const most = 10_000

// Near is Of for an event that was stored at a time, within a bound and without a consumer: more says that there is more
// of the history than was read.
func Near(ctx context.Context, js jetstream.JetStream, sequence uint64, stored time.Time) (entries []Entry, more bool, err error) {
	s, err := js.Stream(ctx, stream.History)
	if err != nil {
		return nil, false, err
	}
	from, err := stream.SequenceAt(ctx, js, s.CachedInfo(), stored)
	if err != nil {
		return nil, false, err
	}
	more, err = stream.ScanSome(ctx, js, stream.History, pageOf(sequence), from, stream.Bound{Messages: most}, parsed(func(e Entry) {
		if e.Sequence == sequence {
			entries = append(entries, e)
		}
	}))
	slices.SortStableFunc(entries, func(a, b Entry) int { return a.At.Compare(b.At) })
	return entries, more, err
}

// pageOf is where all teams tell about an event.
func pageOf(sequence uint64) string { return fmt.Sprintf("history.*.%d", sequence/pageSize) }

// Team calls take for each entry of a team since a time, in the order in which they were stored.
func Team(ctx context.Context, js jetstream.JetStream, team string, since time.Time, take func(Entry)) error {
	return read(ctx, js, stream.Range{Filters: []string{"history." + team + ".>"}, Since: since}, take)
}

// read calls take for each entry.
func read(ctx context.Context, js jetstream.JetStream, where stream.Range, take func(Entry)) error {
	return stream.Read(ctx, js, stream.History, where, parsed(take))
}

// parsed takes messages apart. It skips those that it cannot parse.
func parsed(take func(Entry)) func(*jetstream.RawStreamMsg) error {
	return func(m *jetstream.RawStreamMsg) error {
		tokens := strings.Split(m.Subject, ".") // history.<team>.<page>
		var number uint64
		if len(tokens) != 3 {
			return nil
		}
		if _, err := fmt.Sscan(tokens[2], &number); err != nil {
			return nil
		}
		var p page
		if err := json.Unmarshal(m.Data, &p); err != nil {
			return nil
		}
		p.each(tokens[1], number*pageSize, take)
		return nil
	}
}

func (p *page) each(team string, first uint64, take func(Entry)) {
	for _, s := range p.Done {
		numbers(s.Events, func(n uint64) {
			take(Entry{Team: team, Sequence: first + n, At: p.At, Outcome: s.Outcome, Attempts: 1, Replay: s.Replay, Note: s.Note})
		})
	}
	for _, e := range p.Entries {
		e.Team = team
		take(e)
	}
}
