// The pbx consumer keeps one row a call, and one row a call detail record.
package main

import (
	"context"
	"database/sql"
	"encoding/json"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/fold"
	"github.com/sluicehq/sluice/pkg/inbox"
	"github.com/sluicehq/sluice/pkg/settings"
	"github.com/sluicehq/sluice/pkg/worker"
)

// Settings are everything that a deployment can choose about this consumer.
type Settings struct {
	worker.Settings
	Inbox inbox.Settings
}

func main() {
	var s Settings
	settings.Main("pbx", "keeps the tables calls and cdrs from the events of the PBX", &s, func(ctx context.Context) error {
		return run(ctx, &s)
	})
}

func run(ctx context.Context, s *Settings) error {
	tables, err := inbox.Open(ctx, "pbx", s.Inbox, schema...)
	if err != nil {
		return err
	}
	defer tables.Close()
	return worker.Run(ctx, worker.Team{Name: "pbx", Events: []string{"pbx.>"}, Key: callUUID}, handler(tables))
}

// callUUID keeps the events of one call from waiting for each other in the database.
func callUUID(e *event.Event) string {
	var body struct {
		Data struct {
			CallUUID fold.Text `json:"call_uuid"`
		} `json:"data"`
	}
	_ = json.Unmarshal(e.Body, &body) // the handler says what is wrong with it
	return body.Data.CallUUID.String
}

func handler(tables *inbox.Inbox) worker.Handler {
	return func(ctx context.Context, e *event.Event) error {
		if _, known := phases[e.Name]; !known {
			return nil // new names come without notice, and are kept in the stream
		}
		entry, err := fold.Decode(e)
		if err != nil {
			return worker.Permanent(err)
		}
		c, err := callOf(fold.Newest{e.Name: entry})
		if err != nil {
			return worker.Permanent(err)
		}
		return tables.Once(ctx, e, func(ctx context.Context, tx *sql.Tx) error {
			return keep(ctx, tx, c.CallUUID.String, entry)
		})
	}
}
