package zorio

// AutoCallLead is what every event of a lead says about it. Its ids count within the tenant, [Body.TenantID].
type AutoCallLead struct {
	LeadID      Text `json:"lead_id"`
	CampaignID  Text `json:"campaign_id"`
	Phone       Text `json:"phone"`
	ExternalRef Text `json:"external_ref"` // the id in your own system; may be null
}

// AutoCallLeadAdded is the data of autocall.lead.added.
type AutoCallLeadAdded struct{ AutoCallLead }

// AutoCallLeadAudioReady is the data of autocall.lead.audio_ready.
type AutoCallLeadAudioReady struct {
	AutoCallLead
	AudioURL Text `json:"audio_url"`
}

// AutoCallTTSRenderFailed is the data of autocall.tts.render_failed.
type AutoCallTTSRenderFailed struct {
	AutoCallLead
	Error Text `json:"error"`
}

// AutoCallLeadCompleted is the data of autocall.lead.completed.
type AutoCallLeadCompleted struct {
	AutoCallLead
	FinalStatus   Text    `json:"final_status"` // completed, failed, dnc or max_attempts_reached
	TotalAttempts Integer `json:"total_attempts"`
}

// AutoCallCall is what every event of a call says about it. The documentation also has names of events that begin with
// autocall.lead for these; they may come without the call's uuid.
type AutoCallCall struct {
	UUID       Text `json:"uuid"` // of the call
	CampaignID Text `json:"campaign_id"`
	LeadID     Text `json:"lead_id"`
	Phone      Text `json:"phone"`
}

// AutoCallCallInitiated is the data of autocall.call.initiated.
type AutoCallCallInitiated struct {
	AutoCallCall
	AttemptNumber Integer `json:"attempt_number"`
	CallerID      Text    `json:"caller_id"`
	StartedAt     Time    `json:"started_at"`
}

// AutoCallCallAnswered is the data of autocall.call.answered.
type AutoCallCallAnswered struct {
	AutoCallCall
	AnsweredAt Time `json:"answered_at"`
}

// AutoCallCallTransferred is the data of autocall.call.transferred.
type AutoCallCallTransferred struct {
	AutoCallCall
	Queue         Text `json:"queue"`
	TransferredAt Time `json:"transferred_at"`
}

// AutoCallCallCompleted is the data of autocall.call.completed.
type AutoCallCallCompleted struct {
	AutoCallCall
	Outcome  Text   `json:"outcome"`
	Duration Number `json:"duration"` // seconds
	EndedAt  Time   `json:"ended_at"`
}

// AutoCallDTMFPressed is the data of autocall.dtmf.pressed: one key.
type AutoCallDTMFPressed struct {
	AutoCallCall
	Digit     Text `json:"digit"` // the key
	PressedAt Time `json:"pressed_at"`
}

// AutoCallCampaignCompleted is the data of autocall.campaign.completed.
type AutoCallCampaignCompleted struct {
	CampaignID  Text `json:"campaign_id"`
	CompletedAt Time `json:"completed_at"`
}
