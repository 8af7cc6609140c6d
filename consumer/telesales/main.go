// The telesales consumer keeps leads, the dispositions of calls with them, and the totals of campaigns.
package main

import (
	"cmp"
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
	settings.Main("telesales", "keeps the tables leads, dispositions and campaigns from the events of telesales", &s, func(ctx context.Context) error {
		return run(ctx, &s)
	})
}

func run(ctx context.Context, s *Settings) error {
	tables, err := inbox.Open(ctx, "telesales", s.Inbox, schema...)
	if err != nil {
		return err
	}
	defer tables.Close()
	return worker.Run(ctx, worker.Team{Name: "telesales", Events: []string{"telesales.>"}, Key: leadOrCampaign}, handler(tables))
}

// leadOrCampaign keeps the events of one lead, or of a campaign as such, from waiting for each other in the database.
func leadOrCampaign(e *event.Event) string {
	var body struct {
		Data struct {
			ID       fold.Text `json:"id"`
			Campaign fold.Text `json:"campaign_id"`
		} `json:"data"`
	}
	_ = json.Unmarshal(e.Body, &body) // the handler says what is wrong with it
	return cmp.Or(body.Data.ID.String, "campaign "+body.Data.Campaign.String)
}

func handler(tables *inbox.Inbox) worker.Handler {
	return func(ctx context.Context, e *event.Event) error {
		keep, known := keepers[e.Name]
		if !known {
			return nil // new names come without notice, and are kept in the stream
		}
		entry, err := fold.Decode(e)
		if err != nil {
			return worker.Permanent(err)
		}
		effect, err := keep(entry)
		if err != nil {
			return worker.Permanent(err)
		}
		return tables.Once(ctx, e, effect)
	}
}

// effect is what an event that can be read writes.
type effect = func(ctx context.Context, tx *sql.Tx) error

// keepers has what is to be kept of each kind of event.
var keepers = map[string]func(fold.Entry) (effect, error){
	leadCreated:       keepLead,
	leadUpdated:       keepLead,
	callDisposed:      keepDisposition,
	campaignCompleted: keepCampaign,
}
