package zorio

// PBXCall is what every event of a call of the PBX says about it.
type PBXCall struct {
	CallUUID          Text `json:"call_uuid"` // the same in all events of a call
	Extension         Text `json:"extension"`
	Direction         Text `json:"direction"` // inbound, outbound or internal
	CallerNumber      Text `json:"caller_number"`
	DestinationNumber Text `json:"destination_number"`
}

// PBXCallRinging is the data of pbx.call.ringing.
type PBXCallRinging struct {
	PBXCall
	Timestamp Time `json:"timestamp"` // when it began to ring
}

// PBXCallAnswered is the data of pbx.call.answered.
type PBXCallAnswered struct {
	PBXCall
	Timestamp  Time `json:"timestamp"` // when it began to ring
	AnsweredAt Time `json:"answered_at"`
}

// PBXCallHangup is the data of pbx.call.hangup.
type PBXCallHangup struct {
	PBXCall
	StartedAt   Time   `json:"started_at"`  // may be null
	AnsweredAt  Time   `json:"answered_at"` // null or missing for a call that nobody answered
	EndedAt     Time   `json:"ended_at"`
	Duration    Number `json:"duration"` // seconds, ringing included
	Billsec     Number `json:"billsec"`  // seconds, talking
	HangupCause Text   `json:"hangup_cause"`
}

// PBXCDRCreated is the data of pbx.cdr.created, which comes after the hangup and has the whole record.
type PBXCDRCreated struct {
	PBXCallHangup
	Disposition  Text `json:"disposition"`
	RecordingURL Text `json:"recording_url"` // works for 30 minutes
}
