package main

import (
	"github.com/sluicehq/sluice/pkg/fold"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// leadKinds are in the order that those of the same time count in.
var leadKinds = []string{leadAdded, ttsRenderFailed, leadAudioReady, leadDialed, callInitiated, leadAnswered, callAnswered,
	leadDTMFPressed, dtmfPressed, leadTransferred, callTransferred, callCompleted, leadCompleted}

// leadStates is what each kind of event says about the state of its lead. A key that is pressed says nothing about it.
var leadStates = map[string]string{
	leadAdded:       "added",
	ttsRenderFailed: "render_failed",
	leadAudioReady:  "audio_ready",
	leadDialed:      "dialed",
	callInitiated:   "dialed",
	leadAnswered:    "answered",
	callAnswered:    "answered",
	leadTransferred: "transferred",
	callTransferred: "transferred",
	callCompleted:   "called",
	leadCompleted:   "completed",
}

var leadSchema = []string{
	`CREATE TABLE IF NOT EXISTS autocall_leads (
	tenant_id TEXT,
	lead_id TEXT,
	campaign_id TEXT,
	phone TEXT,
	external_ref TEXT,
	state TEXT,
	audio_url TEXT,
	render_error TEXT,
	final_status TEXT,
	total_attempts BIGINT,
	added_at TIMESTAMPTZ,
	completed_at TIMESTAMPTZ,
	updated_at TIMESTAMPTZ,
	events TEXT NOT NULL,
	PRIMARY KEY (tenant_id, lead_id)
)`,
	`CREATE INDEX IF NOT EXISTS autocall_leads_campaign ON autocall_leads (tenant_id, campaign_id)`,
}

// lead is what is known about a person to be called. Its ids count within the tenant.
type lead struct {
	zorio.AutoCallLeadCompleted
	AudioURL zorio.Text `json:"audio_url"`

	tenant                          string
	state, renderError              zorio.Text
	addedAt, completedAt, updatedAt zorio.Time
}

var leads = fold.Table[lead]{Name: "autocall_leads", Key: []string{"tenant_id", "lead_id"}, Of: leadOf}

// leadOf makes a lead of the newest event of each kind. It is in the state that the newest of all says: a lead that was
// not reached is called again.
func leadOf(newest fold.Newest) (lead, error) {
	entries := newest.InOrder(leadKinds...)
	l := lead{tenant: fold.Tenant(entries), addedAt: newest.First(leadAdded), completedAt: newest.First(leadCompleted)}
	if err := fold.Overlay(&l, entries); err != nil {
		return l, err
	}
	if l.LeadID.String == "" {
		return l, fold.Missing("lead_id")
	}
	for _, e := range entries {
		if state, says := leadStates[e.Kind]; says {
			l.state = zorio.Text{String: state, Valid: true}
		}
		l.updatedAt.Time = e.At
	}
	return l, l.render(newest)
}

// render finds what went wrong when the audio was made, unless it was made later.
func (l *lead) render(newest fold.Newest) error {
	for _, e := range newest.InOrder(ttsRenderFailed, leadAudioReady) {
		l.renderError = zorio.Text{}
		if e.Kind == leadAudioReady {
			continue
		}
		var data zorio.AutoCallTTSRenderFailed
		if err := fold.Overlay(&data, []fold.Entry{e}); err != nil {
			return err
		}
		l.renderError = data.Error
	}
	return nil
}

func (l lead) Key() []string { return []string{l.tenant, l.LeadID.String} }

func (l lead) Columns() map[string]any {
	return map[string]any{
		"campaign_id": l.CampaignID.Value(), "phone": l.Phone.Value(), "external_ref": l.ExternalRef.Value(), "state": l.state.Value(),
		"audio_url": l.AudioURL.Value(), "render_error": l.renderError.Value(), "final_status": l.FinalStatus.Value(),
		"total_attempts": l.TotalAttempts.Value(), "added_at": l.addedAt.Value(), "completed_at": l.completedAt.Value(),
		"updated_at": l.updatedAt.Value(),
	}
}
