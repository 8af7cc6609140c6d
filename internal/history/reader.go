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
	where := stream.Range{Filters: []string{fmt.Sprintf("history.*.%d", sequence/pageSize)}}
	err = read(ctx, js, where, func(e Entry) {
		if e.Sequence == sequence {
			entries = append(entries, e)
		}
	})
	slices.SortStableFunc(entries, func(a, b Entry) int { return a.At.Compare(b.At) })
	return entries, err
}

// Team calls take for each entry of a team since a time, in the order in which they were stored.
func Team(ctx context.Context, js jetstream.JetStream, team string, since time.Time, take func(Entry)) error {
	return read(ctx, js, stream.Range{Filters: []string{"history." + team + ".>"}, Since: since}, take)
}

// read calls take for each entry. It skips messages that it cannot parse.
func read(ctx context.Context, js jetstream.JetStream, where stream.Range, take func(Entry)) error {
	return stream.Read(ctx, js, stream.History, where, func(m *jetstream.RawStreamMsg) error {
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
	})
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
