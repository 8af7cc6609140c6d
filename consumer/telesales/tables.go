package main

import (
	"cmp"
	"time"

	"github.com/sluicehq/sluice/pkg/fold"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// The kinds of events, in the order they happen to a lead.
const (
	leadCreated       = "telesales.lead.created"
	leadUpdated       = "telesales.lead.updated"
	callDisposed      = "telesales.call.disposed"
	campaignCompleted = "telesales.campaign.completed"
)

var schema = []string{
	`CREATE TABLE IF NOT EXISTS leads (
	lead_id TEXT PRIMARY KEY,
	campaign_id TEXT,
	full_name TEXT,
	phone TEXT,
	email TEXT,
	status TEXT,
	disposition TEXT,
	custom_fields TEXT,
	created_at TIMESTAMPTZ,
	updated_at TIMESTAMPTZ,
	events TEXT NOT NULL
)`,
	`CREATE TABLE IF NOT EXISTS dispositions (
	disposition_id TEXT PRIMARY KEY,
	lead_id TEXT,
	campaign_id TEXT,
	call_uuid TEXT,
	agent_id TEXT,
	disposition TEXT,
	disposed_at TIMESTAMPTZ,
	events TEXT NOT NULL
)`,
	`CREATE TABLE IF NOT EXISTS campaigns (
	campaign_id TEXT PRIMARY KEY,
	name TEXT,
	total_leads BIGINT,
	completed_at TIMESTAMPTZ,
	events TEXT NOT NULL
)`,
	`CREATE INDEX IF NOT EXISTS leads_campaign ON leads (campaign_id)`,
	`CREATE INDEX IF NOT EXISTS dispositions_campaign ON dispositions (campaign_id, disposition)`,
	`DROP VIEW IF EXISTS campaign_totals`, // neither database has a way to make a view that the other has too
	`CREATE VIEW campaign_totals AS
	SELECT c.campaign_id, c.name, c.total_leads, c.completed_at,
		(SELECT count(*) FROM leads l WHERE l.campaign_id = c.campaign_id) AS leads_known,
		(SELECT count(*) FROM dispositions d WHERE d.campaign_id = c.campaign_id) AS calls_disposed
	FROM (
		SELECT campaign_id, name, total_leads, completed_at FROM campaigns
		UNION ALL
		SELECT DISTINCT campaign_id, NULL, CAST(NULL AS BIGINT), CAST(NULL AS TIMESTAMPTZ) FROM leads
		WHERE campaign_id IS NOT NULL AND campaign_id NOT IN (SELECT campaign_id FROM campaigns)
	) c`,
	`DROP VIEW IF EXISTS campaign_dispositions`,
	`CREATE VIEW campaign_dispositions AS
	SELECT campaign_id, disposition, count(*) AS calls FROM dispositions GROUP BY campaign_id, disposition`,
}

// lead is what is known about a person to be called.
type lead struct {
	zorio.TelesalesLeadUpdated

	createdAt, updatedAt zorio.Time
}

var leads = fold.Table[lead]{Name: "leads", Key: []string{"lead_id"}, Of: leadOf}

// leadOf makes a lead of the newest event of each kind.
func leadOf(newest fold.Newest) (lead, error) {
	var l lead
	entries := newest.InOrder(leadCreated, leadUpdated, callDisposed)
	if err := fold.Overlay(&l, entries); err != nil {
		return l, err
	}
	if l.ID.String == "" {
		return l, fold.Missing("id")
	}
	l.createdAt.Time = newest[leadCreated].At
	for _, e := range entries {
		l.updatedAt.Time = e.At
	}
	return l, nil
}

func (l lead) Key() []string { return []string{l.ID.String} }

func (l lead) Columns() map[string]any {
	var custom any
	if len(l.CustomFields) > 0 && string(l.CustomFields) != "null" {
		custom = string(l.CustomFields)
	}
	return map[string]any{
		"campaign_id": l.CampaignID.Value(), "full_name": l.FullName.Value(), "phone": l.Phone.Value(), "email": l.Email.Value(),
		"status": l.Status.Value(), "disposition": l.Disposition.Value(), "custom_fields": custom,
		"created_at": l.createdAt.Value(), "updated_at": l.updatedAt.Value(),
	}
}

// disposition is how a call with a lead ended, in the agent's words.
type disposition struct{ zorio.TelesalesCallDisposed }

var dispositions = fold.Table[disposition]{Name: "dispositions", Key: []string{"disposition_id"}, Of: dispositionOf}

func dispositionOf(newest fold.Newest) (disposition, error) {
	var d disposition
	if err := fold.Overlay(&d, newest.InOrder(callDisposed)); err != nil {
		return d, err
	}
	if d.ID.String == "" {
		return d, fold.Missing("id")
	}
	d.DisposedAt = d.DisposedAt.Or(newest.First(callDisposed))
	return d, nil
}

// Key is one disposition a call; where there was no call, one a moment.
func (d disposition) Key() []string {
	return []string{d.ID.String + "/" + cmp.Or(d.CallUUID.String, d.DisposedAt.Format(time.RFC3339Nano))}
}

func (d disposition) Columns() map[string]any {
	return map[string]any{
		"lead_id": d.ID.Value(), "campaign_id": d.CampaignID.Value(), "call_uuid": d.CallUUID.Value(), "agent_id": d.AgentID.Value(),
		"disposition": d.Disposition.Value(), "disposed_at": d.DisposedAt.Value(),
	}
}

// campaign is what the sender says about a campaign at its end.
type campaign struct {
	zorio.TelesalesCampaignCompleted
}

var campaigns = fold.Table[campaign]{Name: "campaigns", Key: []string{"campaign_id"}, Of: campaignOf}

func campaignOf(newest fold.Newest) (campaign, error) {
	var c campaign
	if err := fold.Overlay(&c, newest.InOrder(campaignCompleted)); err != nil {
		return c, err
	}
	if c.CampaignID.String == "" {
		return c, fold.Missing("campaign_id")
	}
	c.CompletedAt = c.CompletedAt.Or(newest.First(campaignCompleted))
	return c, nil
}

func (c campaign) Key() []string { return []string{c.CampaignID.String} }

func (c campaign) Columns() map[string]any {
	return map[string]any{"name": c.Name.Value(), "total_leads": c.TotalLeads.Value(), "completed_at": c.CompletedAt.Value()}
}
