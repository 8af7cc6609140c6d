package main

import (
	"time"

	"github.com/sluicehq/sluice/pkg/fold"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// The kinds of events, in the order a call goes through them.
const (
	ringing  = "pbx.call.ringing"
	answered = "pbx.call.answered"
	hangup   = "pbx.call.hangup"
	cdr      = "pbx.cdr.created"
)

var kinds = []string{ringing, answered, hangup, cdr}

// phases is what each kind of event says about the state of its call. A call goes through them in one direction: one
// that has ended never rings again, whatever the clocks of the sender's servers say.
var phases = map[string]string{ringing: "ringing", answered: "answered", hangup: "ended", cdr: "ended"}

// recordingValid is how long the sender's link to a recording works.
const recordingValid = 30 * time.Minute

// call is what is known about a call.
type call struct {
	zorio.PBXCDRCreated

	state            string
	ringingAt        zorio.Time
	recordingExpires zorio.Time
	updatedAt        zorio.Time
}

// callOf makes a call of the newest event of each kind.
func callOf(newest fold.Newest) (call, error) {
	var c call
	entries := newest.InOrder(kinds...)
	if err := fold.Overlay(&c, entries); err != nil {
		return c, err
	}
	if c.CallUUID.String == "" {
		return c, fold.Missing("call_uuid")
	}
	for _, e := range entries {
		c.updatedAt.Time = e.At
	}
	for _, kind := range kinds {
		if _, happened := newest[kind]; happened {
			c.state = phases[kind]
		}
	}
	return c, c.times(newest)
}

// times finds what the events say in other words: the "timestamp" of data is when it began to ring.
func (c *call) times(newest fold.Newest) error {
	var data zorio.PBXCallRinging
	if err := fold.Overlay(&data, newest.InOrder(ringing)); err != nil {
		return err
	}
	c.ringingAt = data.Timestamp.Or(newest.First(ringing))
	c.StartedAt = c.StartedAt.Or(c.ringingAt)
	if e, known := newest[cdr]; known && c.RecordingURL.String != "" {
		c.recordingExpires.Time = e.At.Add(recordingValid)
	}
	return nil
}

var schema = []string{
	`CREATE TABLE IF NOT EXISTS calls (
	call_uuid TEXT PRIMARY KEY,
	direction TEXT,
	caller_number TEXT,
	destination_number TEXT,
	extension TEXT,
	state TEXT,
	started_at TIMESTAMPTZ,
	ringing_at TIMESTAMPTZ,
	answered_at TIMESTAMPTZ,
	ended_at TIMESTAMPTZ,
	duration DOUBLE PRECISION,
	billsec DOUBLE PRECISION,
	hangup_cause TEXT,
	recording_url TEXT,
	recording_expires_at TIMESTAMPTZ,
	updated_at TIMESTAMPTZ,
	events TEXT NOT NULL
)`,
	`CREATE TABLE IF NOT EXISTS cdrs (
	call_uuid TEXT PRIMARY KEY,
	direction TEXT,
	caller_number TEXT,
	destination_number TEXT,
	extension TEXT,
	started_at TIMESTAMPTZ,
	answered_at TIMESTAMPTZ,
	ended_at TIMESTAMPTZ,
	duration DOUBLE PRECISION,
	billsec DOUBLE PRECISION,
	hangup_cause TEXT,
	disposition TEXT,
	recording_url TEXT,
	recording_expires_at TIMESTAMPTZ,
	created_at TIMESTAMPTZ,
	events TEXT NOT NULL
)`,
}

var (
	calls   = fold.Table[call]{Name: "calls", Key: []string{"call_uuid"}, Of: callOf}
	records = fold.Table[record]{Name: "cdrs", Key: []string{"call_uuid"}, Of: recordOf}
)

func (c call) Key() []string { return []string{c.CallUUID.String} }

func (c call) Columns() map[string]any {
	return map[string]any{
		"direction": c.Direction.Value(), "caller_number": c.CallerNumber.Value(), "destination_number": c.DestinationNumber.Value(), "extension": c.Extension.Value(),
		"state": c.state, "started_at": c.StartedAt.Value(), "ringing_at": c.ringingAt.Value(), "answered_at": c.AnsweredAt.Value(), "ended_at": c.EndedAt.Value(),
		"duration": c.Duration.Value(), "billsec": c.Billsec.Value(), "hangup_cause": c.HangupCause.Value(),
		"recording_url": c.RecordingURL.Value(), "recording_expires_at": c.recordingExpires.Value(), "updated_at": c.updatedAt.Value(),
	}
}

// record is what the call detail record alone says about a call.
type record struct{ call }

func recordOf(newest fold.Newest) (record, error) {
	c, err := callOf(newest)
	return record{c}, err
}

func (r record) Columns() map[string]any {
	return map[string]any{
		"direction": r.Direction.Value(), "caller_number": r.CallerNumber.Value(), "destination_number": r.DestinationNumber.Value(), "extension": r.Extension.Value(),
		"started_at": r.StartedAt.Value(), "answered_at": r.AnsweredAt.Value(), "ended_at": r.EndedAt.Value(),
		"duration": r.Duration.Value(), "billsec": r.Billsec.Value(), "hangup_cause": r.HangupCause.Value(), "disposition": r.Disposition.Value(),
		"recording_url": r.RecordingURL.Value(), "recording_expires_at": r.recordingExpires.Value(), "created_at": r.updatedAt.Value(),
	}
}
