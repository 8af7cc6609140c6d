package main

import (
	"github.com/sluicehq/sluice/pkg/fold"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// attemptKinds are in the order a call goes through them.
var attemptKinds = []string{leadDialed, callInitiated, leadAnswered, callAnswered, leadTransferred, callTransferred, callCompleted}

// attemptStates is what each kind of event says about the state of its call. A call goes through them in one direction,
// whatever the clocks of the sender's servers say.
var attemptStates = map[string]string{
	leadDialed:      "dialed",
	callInitiated:   "dialed",
	leadAnswered:    "answered",
	callAnswered:    "answered",
	leadTransferred: "transferred",
	callTransferred: "transferred",
	callCompleted:   "completed",
}

var attemptSchema = []string{
	`CREATE TABLE IF NOT EXISTS autocall_attempts (
	uuid TEXT PRIMARY KEY,
	tenant_id TEXT,
	campaign_id TEXT,
	lead_id TEXT,
	attempt_number BIGINT,
	phone TEXT,
	caller_id TEXT,
	queue TEXT,
	state TEXT,
	started_at TIMESTAMPTZ,
	answered_at TIMESTAMPTZ,
	transferred_at TIMESTAMPTZ,
	ended_at TIMESTAMPTZ,
	duration DOUBLE PRECISION,
	outcome TEXT,
	updated_at TIMESTAMPTZ,
	events TEXT NOT NULL
)`,
	`CREATE INDEX IF NOT EXISTS autocall_attempts_campaign ON autocall_attempts (tenant_id, campaign_id)`,
	`CREATE INDEX IF NOT EXISTS autocall_attempts_lead ON autocall_attempts (tenant_id, lead_id)`,
}

// attempt is a call. An event without the call's uuid, as one that is named after the lead may be, can't be said to be
// of this call or of that: it is kept of its lead alone.
type attempt struct {
	zorio.AutoCallCallInitiated
	AnsweredAt    zorio.Time   `json:"answered_at"`
	Queue         zorio.Text   `json:"queue"`
	TransferredAt zorio.Time   `json:"transferred_at"`
	EndedAt       zorio.Time   `json:"ended_at"`
	Duration      zorio.Number `json:"duration"` // seconds
	Outcome       zorio.Text   `json:"outcome"`

	tenant, state string
	updatedAt     zorio.Time
}

var attempts = fold.Table[attempt]{Name: "autocall_attempts", Key: []string{"uuid"}, Of: attemptOf}

// attemptOf makes an attempt of the newest event of each kind.
func attemptOf(newest fold.Newest) (attempt, error) {
	entries := newest.InOrder(attemptKinds...)
	a := attempt{tenant: fold.Tenant(entries)}
	if err := fold.Overlay(&a, entries); err != nil {
		return a, err
	}
	if a.UUID.String == "" {
		return a, fold.Missing("uuid")
	}
	for _, e := range entries {
		a.updatedAt.Time = e.At
	}
	for _, kind := range attemptKinds {
		if _, happened := newest[kind]; happened {
			a.state = attemptStates[kind]
		}
	}
	a.StartedAt = a.StartedAt.Or(newest.First(leadDialed, callInitiated))
	a.AnsweredAt = a.AnsweredAt.Or(newest.First(leadAnswered, callAnswered))
	a.TransferredAt = a.TransferredAt.Or(newest.First(leadTransferred, callTransferred))
	a.EndedAt = a.EndedAt.Or(newest.First(callCompleted))
	return a, nil
}

func (a attempt) Key() []string { return []string{a.UUID.String} }

func (a attempt) Columns() map[string]any {
	return map[string]any{
		"tenant_id": a.tenant, "campaign_id": a.CampaignID.Value(), "lead_id": a.LeadID.Value(), "attempt_number": a.AttemptNumber.Value(),
		"phone": a.Phone.Value(), "caller_id": a.CallerID.Value(), "queue": a.Queue.Value(), "state": a.state,
		"started_at": a.StartedAt.Value(), "answered_at": a.AnsweredAt.Value(), "transferred_at": a.TransferredAt.Value(),
		"ended_at": a.EndedAt.Value(), "duration": a.Duration.Value(), "outcome": a.Outcome.Value(), "updated_at": a.updatedAt.Value(),
	}
}
