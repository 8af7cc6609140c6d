package main

import (
	"github.com/sluicehq/sluice/pkg/fold"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// campaignKinds are in the order that those of the same time count in.
var campaignKinds = []string{campaignStarted, campaignPaused, campaignResumed, campaignFinished, campaignCompleted}

var campaignStates = map[string]string{
	campaignStarted:   "running",
	campaignPaused:    "paused",
	campaignResumed:   "running",
	campaignFinished:  "completed",
	campaignCompleted: "completed",
}

var campaignSchema = []string{
	`CREATE TABLE IF NOT EXISTS autocall_campaigns (
	tenant_id TEXT,
	campaign_id TEXT,
	name TEXT,
	state TEXT,
	started_at TIMESTAMPTZ,
	paused_at TIMESTAMPTZ,
	resumed_at TIMESTAMPTZ,
	completed_at TIMESTAMPTZ,
	updated_at TIMESTAMPTZ,
	events TEXT NOT NULL,
	PRIMARY KEY (tenant_id, campaign_id)
)`,
}

// campaign is what is known about a campaign. Its ids count within the tenant.
type campaign struct {
	zorio.AutoCallCampaignCompleted
	Name       zorio.Text `json:"name"`
	StartedAt  zorio.Time `json:"started_at"`
	PausedAt   zorio.Time `json:"paused_at"`
	ResumedAt  zorio.Time `json:"resumed_at"`
	FinishedAt zorio.Time `json:"finished_at"`

	tenant, state string
	updatedAt     zorio.Time
}

var campaigns = fold.Table[campaign]{Name: "autocall_campaigns", Key: []string{"tenant_id", "campaign_id"}, Of: campaignOf}

// campaignOf makes a campaign of the newest event of each kind. It is in the state that the newest of all says.
func campaignOf(newest fold.Newest) (campaign, error) {
	entries := newest.InOrder(campaignKinds...)
	c := campaign{tenant: fold.Tenant(entries)}
	if err := fold.Overlay(&c, entries); err != nil {
		return c, err
	}
	if c.CampaignID.String == "" {
		return c, fold.Missing("campaign_id")
	}
	for _, e := range entries {
		c.state, c.updatedAt.Time = campaignStates[e.Kind], e.At
	}
	c.StartedAt = c.StartedAt.Or(newest.First(campaignStarted))
	c.PausedAt = c.PausedAt.Or(newest.First(campaignPaused))
	c.ResumedAt = c.ResumedAt.Or(newest.First(campaignResumed))
	c.CompletedAt = c.CompletedAt.Or(c.FinishedAt).Or(newest.First(campaignFinished, campaignCompleted))
	return c, nil
}

func (c campaign) Key() []string { return []string{c.tenant, c.CampaignID.String} }

func (c campaign) Columns() map[string]any {
	return map[string]any{
		"name": c.Name.Value(), "state": c.state, "started_at": c.StartedAt.Value(), "paused_at": c.PausedAt.Value(),
		"resumed_at": c.ResumedAt.Value(), "completed_at": c.CompletedAt.Value(), "updated_at": c.updatedAt.Value(),
	}
}
