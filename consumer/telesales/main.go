// The telesales consumer keeps leads, the dispositions of calls with them, and the totals of campaigns.
package main

import (
	_ "github.com/sluicehq/sluice/otel" // traces, where the environment names a collector
	"github.com/sluicehq/sluice/pkg/fold"
	"github.com/sluicehq/sluice/pkg/tables"
)

var team = tables.Team{
	Name:    "telesales",
	Summary: "keeps the tables leads, dispositions and campaigns from the events of telesales",
	Schema:  schema,
	Key:     []string{"id", "campaign_id"},
	Keep: map[string][]fold.Keeper{
		leadCreated:       {leads.Keep},
		leadUpdated:       {leads.Keep},
		callDisposed:      {dispositions.Keep, leads.Keep},
		campaignCompleted: {campaigns.Keep},
	},
}

func main() { tables.Main(team) }
