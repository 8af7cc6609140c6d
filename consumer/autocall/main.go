// The autocall consumer keeps campaigns, their leads, the attempts to call them, and the keys they pressed.
package main

import (
	"slices"

	_ "github.com/sluicehq/sluice/otel" // traces, where the environment names a collector
	"github.com/sluicehq/sluice/pkg/fold"
	"github.com/sluicehq/sluice/pkg/tables"
)

var team = tables.Team{
	Name:    "autocall",
	Summary: "keeps the tables autocall_campaigns, autocall_leads, autocall_attempts and autocall_keys from the events of AutoCall",
	Schema:  slices.Concat(campaignSchema, leadSchema, attemptSchema, keySchema, totalsSchema),
	Key:     []string{"lead_id", "uuid", "campaign_id"},
	Keep: map[string][]fold.Keeper{
		leadAdded:         {leads.Keep},
		leadAudioReady:    {leads.Keep},
		ttsRenderFailed:   {leads.Keep},
		leadCompleted:     {leads.Keep},
		callInitiated:     {attempts.Keep, leads.Keep},
		leadDialed:        {attempts.Keep, leads.Keep},
		callAnswered:      {attempts.Keep, leads.Keep},
		leadAnswered:      {attempts.Keep, leads.Keep},
		callTransferred:   {attempts.Keep, leads.Keep},
		leadTransferred:   {attempts.Keep, leads.Keep},
		callCompleted:     {attempts.Keep, leads.Keep},
		dtmfPressed:       {keepKey, leads.Keep},
		leadDTMFPressed:   {keepKey, leads.Keep},
		campaignStarted:   {campaigns.Keep},
		campaignPaused:    {campaigns.Keep},
		campaignResumed:   {campaigns.Keep},
		campaignFinished:  {campaigns.Keep},
		campaignCompleted: {campaigns.Keep},
	},
}

func main() { tables.Main(team) }
