package main

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/sluicehq/sluice/pkg/fold"
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
	ID           fold.Text       `json:"id"`
	Campaign     fold.Text       `json:"campaign_id"`
	FullName     fold.Text       `json:"full_name"`
	Phone        fold.Text       `json:"phone"`
	Email        fold.Text       `json:"email"`
	Status       fold.Text       `json:"status"`
	Disposition  fold.Text       `json:"disposition"`
	CustomFields json.RawMessage `json:"custom_fields"`

	createdAt, updatedAt fold.Time
}

var (
	errNoLead     = errors.New(`"data" has no "id"`)
	errNoCampaign = errors.New(`"data" has no "campaign_id"`)
)

var leads = fold.Table{Name: "leads", Key: "lead_id"}

// leadOf makes a lead of the newest event of each kind.
func leadOf(newest fold.Newest) (lead, error) {
	var l lead
	entries := newest.InOrder(leadCreated, leadUpdated, callDisposed)
	if err := fold.Overlay(&l, entries); err != nil {
		return l, err
	}
	if l.ID.String == "" {
		return l, errNoLead
	}
	l.createdAt.Time = newest[leadCreated].At
	for _, e := range entries {
		l.updatedAt.Time = e.At
	}
	return l, nil
}

func keepLead(e fold.Entry) (effect, error) {
	l, err := leadOf(fold.Newest{e.Kind: e})
	return func(ctx context.Context, tx *sql.Tx) error {
		return leads.Add(ctx, tx, l.ID.String, e, func(newest fold.Newest) error { return writeLead(ctx, tx, newest) })
	}, err
}

func writeLead(ctx context.Context, tx *sql.Tx, newest fold.Newest) error {
	l, err := leadOf(newest)
	if err != nil {
		return err
	}
	var custom any
	if len(l.CustomFields) > 0 && string(l.CustomFields) != "null" {
		custom = string(l.CustomFields)
	}
	_, err = tx.ExecContext(ctx, `UPDATE leads SET campaign_id = $2, full_name = $3, phone = $4, email = $5, status = $6, disposition = $7,
	custom_fields = $8, created_at = $9, updated_at = $10 WHERE lead_id = $1`,
		l.ID.String, l.Campaign.Value(), l.FullName.Value(), l.Phone.Value(), l.Email.Value(), l.Status.Value(), l.Disposition.Value(),
		custom, l.createdAt.Value(), l.updatedAt.Value())
	return err
}

// disposition is how a call with a lead ended, in the agent's words.
type disposition struct {
	Lead        fold.Text `json:"id"`
	Campaign    fold.Text `json:"campaign_id"`
	Call        fold.Text `json:"call_uuid"`
	Agent       fold.Text `json:"agent_id"`
	Disposition fold.Text `json:"disposition"`
	DisposedAt  fold.Time `json:"disposed_at"`
}

var dispositions = fold.Table{Name: "dispositions", Key: "disposition_id"}

func dispositionOf(newest fold.Newest) (disposition, error) {
	var d disposition
	if err := fold.Overlay(&d, newest.InOrder(callDisposed)); err != nil {
		return d, err
	}
	if d.Lead.String == "" {
		return d, errNoLead
	}
	if d.DisposedAt.IsZero() {
		d.DisposedAt.Time = newest[callDisposed].At
	}
	return d, nil
}

// id is one disposition a call; where there was no call, one a moment.
func (d *disposition) id() string {
	return d.Lead.String + "/" + cmp.Or(d.Call.String, d.DisposedAt.Format(time.RFC3339Nano))
}

// keepDisposition writes the disposition, and the lead that it is about.
func keepDisposition(e fold.Entry) (effect, error) {
	d, err := dispositionOf(fold.Newest{e.Kind: e})
	return func(ctx context.Context, tx *sql.Tx) error {
		err := dispositions.Add(ctx, tx, d.id(), e, func(newest fold.Newest) error { return writeDisposition(ctx, tx, d.id(), newest) })
		if err != nil {
			return err
		}
		return leads.Add(ctx, tx, d.Lead.String, e, func(newest fold.Newest) error { return writeLead(ctx, tx, newest) })
	}, err
}

func writeDisposition(ctx context.Context, tx *sql.Tx, id string, newest fold.Newest) error {
	d, err := dispositionOf(newest)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE dispositions SET lead_id = $2, campaign_id = $3, call_uuid = $4, agent_id = $5, disposition = $6, disposed_at = $7
	WHERE disposition_id = $1`, id, d.Lead.Value(), d.Campaign.Value(), d.Call.Value(), d.Agent.Value(), d.Disposition.Value(), d.DisposedAt.Value())
	return err
}

// campaign is what the sender says about a campaign at its end.
type campaign struct {
	ID          fold.Text `json:"campaign_id"`
	Name        fold.Text `json:"name"`
	TotalLeads  *int64    `json:"total_leads"`
	CompletedAt fold.Time `json:"completed_at"`
}

var campaigns = fold.Table{Name: "campaigns", Key: "campaign_id"}

func campaignOf(newest fold.Newest) (campaign, error) {
	var c campaign
	if err := fold.Overlay(&c, newest.InOrder(campaignCompleted)); err != nil {
		return c, err
	}
	if c.ID.String == "" {
		return c, errNoCampaign
	}
	if c.CompletedAt.IsZero() {
		c.CompletedAt.Time = newest[campaignCompleted].At
	}
	return c, nil
}

func keepCampaign(e fold.Entry) (effect, error) {
	c, err := campaignOf(fold.Newest{e.Kind: e})
	return func(ctx context.Context, tx *sql.Tx) error {
		return campaigns.Add(ctx, tx, c.ID.String, e, func(newest fold.Newest) error {
			c, err := campaignOf(newest)
			if err != nil {
				return err
			}
			_, err = tx.ExecContext(ctx, `UPDATE campaigns SET name = $2, total_leads = $3, completed_at = $4 WHERE campaign_id = $1`,
				c.ID.String, c.Name.Value(), c.TotalLeads, c.CompletedAt.Value())
			return err
		})
	}, err
}
