// Package tables is a team whose work is to keep tables: it says what they are and what each kind of event writes into
// them, and everything else of its consumer is here.
//
// Together with package fold the tables depend only on which events came, not on their order or number; together with
// package inbox each event has its effect once.
package tables

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/fold"
	"github.com/sluicehq/sluice/pkg/inbox"
	"github.com/sluicehq/sluice/pkg/settings"
	"github.com/sluicehq/sluice/pkg/worker"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// Team is a team that keeps tables.
type Team struct {
	Name    string   // of the team and of its binary; it takes the events of the product of that name
	Summary string   // what it keeps, for --help: "keeps the tables …"
	Schema  []string // the statements that make the tables, see [inbox.Open]

	// Keep has, by the event's name, the tables that a kind of event goes into, in the order they are locked: the same
	// for all kinds. It goes into each of them that it says something about. Events of other names pass.
	Keep map[string][]fold.Keeper

	// Key is the fields of data that name what an event is about. Those with the same value in the first one they have
	// are not handled at the same time: they would wait for each other in the database.
	Key []string
}

// Settings are everything that a deployment can choose about a team that keeps tables.
type Settings struct {
	worker.Settings
	Inbox inbox.Settings
}

// Defaults has a team that keeps tables handle more events at once than others: what waits for the database at the same
// time shares a commit.
func (*Settings) Defaults() map[string]string { return map[string]string{"SLUICE_CONCURRENCY": "64"} }

// Main is the whole of the main function of a team's consumer, see [settings.Main].
func Main(t Team) {
	var s Settings
	settings.Main(t.Name, t.Summary, &s, func(ctx context.Context) error { return t.run(ctx, &s) })
}

func (t Team) run(ctx context.Context, s *Settings) error {
	i, err := inbox.Open(ctx, t.Name, s.Inbox, t.Schema...)
	if err != nil {
		return err
	}
	defer i.Close()
	return worker.Run(ctx, worker.Team{Name: t.Name, Events: []string{t.Name + ".>"}, Key: t.key}, t.Handler(i))
}

// Handler keeps events in a team's tables. On a nil return what the event says is committed; a body that can't be read
// or is about nothing is a permanent error, and an event that goes into no table is skipped.
func (t Team) Handler(i *inbox.Inbox) worker.Handler {
	return func(ctx context.Context, e *event.Event) error {
		keepers, known := t.Keep[e.Name]
		if !known {
			return worker.Skip // new names come without notice, and are kept in the stream
		}
		entry, err := fold.Decode(e)
		if err != nil {
			return worker.Permanent(err)
		}
		effects, err := read(entry, keepers)
		if err != nil {
			return worker.Permanent(err)
		}
		return i.Once(ctx, e, func(ctx context.Context, tx *sql.Tx) error {
			for _, effect := range effects {
				if err := effect(ctx, tx); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// read says what an event writes. It must be about something.
func read(e fold.Entry, keepers []fold.Keeper) ([]fold.Effect, error) {
	var effects []fold.Effect
	var missing fold.Missing
	for _, keep := range keepers {
		effect, err := keep(e)
		switch {
		case err == nil:
			effects = append(effects, effect)
		case !errors.As(err, &missing):
			return nil, err
		}
	}
	if len(effects) == 0 {
		return nil, missing
	}
	return effects, nil
}

// key says what an event is about. What is wrong with its body the handler says.
func (t Team) key(e *event.Event) string {
	var body struct {
		Data map[string]json.RawMessage `json:"data"`
	}
	_ = json.Unmarshal(e.Body, &body)
	for _, field := range t.Key {
		var value zorio.Text
		if err := json.Unmarshal(body.Data[field], &value); err == nil && value.String != "" {
			return field + " " + value.String
		}
	}
	return ""
}
