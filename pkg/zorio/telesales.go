package zorio

import "encoding/json"

// TelesalesLeadCreated is the data of telesales.lead.created.
type TelesalesLeadCreated struct {
	ID           Text            `json:"id"` // of the lead
	CampaignID   Text            `json:"campaign_id"`
	FullName     Text            `json:"full_name"`
	Phone        Text            `json:"phone"`
	Email        Text            `json:"email"` // may be null
	Status       Text            `json:"status"`
	CustomFields json.RawMessage `json:"custom_fields"` // whatever the campaign asks for
}

// TelesalesLeadUpdated is the data of telesales.lead.updated.
type TelesalesLeadUpdated struct {
	TelesalesLeadCreated
	Disposition Text `json:"disposition"`
}

// TelesalesCallDisposed is the data of telesales.call.disposed: how a call with a lead ended, in the agent's words.
type TelesalesCallDisposed struct {
	ID          Text `json:"id"` // of the lead
	CampaignID  Text `json:"campaign_id"`
	CallUUID    Text `json:"call_uuid"` // that of the events of the PBX
	AgentID     Text `json:"agent_id"`
	Disposition Text `json:"disposition"`
	DisposedAt  Time `json:"disposed_at"`
}

// TelesalesCampaignCompleted is the data of telesales.campaign.completed.
type TelesalesCampaignCompleted struct {
	CampaignID  Text    `json:"campaign_id"`
	Name        Text    `json:"name"`
	TotalLeads  Integer `json:"total_leads"`
	CompletedAt Time    `json:"completed_at"`
}
