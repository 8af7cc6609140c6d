package main

// The kinds of events. The sender's documentation has two names for some of them; both say the same, and what they say
// goes into the same rows, whichever came, and once if both did.
const (
	leadAdded       = "autocall.lead.added"
	leadAudioReady  = "autocall.lead.audio_ready"
	ttsRenderFailed = "autocall.tts.render_failed"
	leadCompleted   = "autocall.lead.completed"

	callInitiated   = "autocall.call.initiated"
	leadDialed      = "autocall.lead.dialed" // callInitiated
	callAnswered    = "autocall.call.answered"
	leadAnswered    = "autocall.lead.answered" // callAnswered
	callTransferred = "autocall.call.transferred"
	leadTransferred = "autocall.lead.transferred" // callTransferred
	callCompleted   = "autocall.call.completed"

	dtmfPressed     = "autocall.dtmf.pressed"
	leadDTMFPressed = "autocall.lead.dtmf_pressed" // dtmfPressed

	campaignStarted   = "autocall.campaign.started"
	campaignPaused    = "autocall.campaign.paused"
	campaignResumed   = "autocall.campaign.resumed"
	campaignCompleted = "autocall.campaign.completed"
	campaignFinished  = "autocall.campaign.finished" // campaignCompleted
)
