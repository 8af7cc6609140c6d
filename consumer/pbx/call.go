package main

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/sluicehq/sluice/pkg/fold"
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
	CallUUID     fold.Text   `json:"call_uuid"`
	Direction    fold.Text   `json:"direction"`
	Caller       fold.Text   `json:"caller_number"`
	Destination  fold.Text   `json:"destination_number"`
	Extension    fold.Text   `json:"extension"`
	StartedAt    fold.Time   `json:"started_at"`
	AnsweredAt   fold.Time   `json:"answered_at"`
	EndedAt      fold.Time   `json:"ended_at"`
	Duration     fold.Number `json:"duration"` // seconds, ringing included
	Billsec      fold.Number `json:"billsec"`  // seconds, talking
	HangupCause  fold.Text   `json:"hangup_cause"`
	Disposition  fold.Text   `json:"disposition"`
	RecordingURL fold.Text   `json:"recording_url"`

	state            string
	ringingAt        fold.Time
	recordingExpires fold.Time
	updatedAt        fold.Time
}

var errNoCall = errors.New(`"data" has no "call_uuid"`)

// callOf makes a call of the newest event of each kind.
func callOf(newest fold.Newest) (call, error) {
	var c call
	entries := newest.InOrder(kinds...)
	if err := fold.Overlay(&c, entries); err != nil {
		return c, err
	}
	if c.CallUUID.String == "" {
		return c, errNoCall
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
	var data struct {
		Timestamp fold.Time `json:"timestamp"`
	}
	if err := fold.Overlay(&data, newest.InOrder(ringing)); err != nil {
		return err
	}
	c.ringingAt = data.Timestamp
	if e, rang := newest[ringing]; rang && c.ringingAt.IsZero() {
		c.ringingAt.Time = e.At
	}
	if c.StartedAt.IsZero() {
		c.StartedAt = c.ringingAt
	}
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
	created_at TIMESTAMPTZ
)`,
}

var calls = fold.Table{Name: "calls", Key: "call_uuid"}

// keep adds an event to its call, and writes the record of the call when the event is one.
func keep(ctx context.Context, tx *sql.Tx, id string, e fold.Entry) error {
	return calls.Add(ctx, tx, id, e, func(newest fold.Newest) error {
		c, err := callOf(newest)
		if err != nil {
			return err
		}
		if err := c.write(ctx, tx); err != nil || e.Kind != cdr {
			return err
		}
		record, err := callOf(fold.Newest{cdr: newest[cdr]})
		if err != nil {
			return err
		}
		return record.writeRecord(ctx, tx)
	})
}

func (c *call) write(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, `UPDATE calls SET direction = $2, caller_number = $3, destination_number = $4, extension = $5, state = $6,
	started_at = $7, ringing_at = $8, answered_at = $9, ended_at = $10, duration = $11, billsec = $12, hangup_cause = $13,
	recording_url = $14, recording_expires_at = $15, updated_at = $16 WHERE call_uuid = $1`,
		c.CallUUID.String, c.Direction.Value(), c.Caller.Value(), c.Destination.Value(), c.Extension.Value(), c.state,
		c.StartedAt.Value(), c.ringingAt.Value(), c.AnsweredAt.Value(), c.EndedAt.Value(), c.Duration.Value(), c.Billsec.Value(), c.HangupCause.Value(),
		c.RecordingURL.Value(), c.recordingExpires.Value(), c.updatedAt.Value())
	return err
}

func (c *call) writeRecord(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO cdrs (call_uuid, direction, caller_number, destination_number, extension,
	started_at, answered_at, ended_at, duration, billsec, hangup_cause, disposition, recording_url, recording_expires_at, created_at)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
	ON CONFLICT (call_uuid) DO UPDATE SET direction = excluded.direction, caller_number = excluded.caller_number,
	destination_number = excluded.destination_number, extension = excluded.extension, started_at = excluded.started_at,
	answered_at = excluded.answered_at, ended_at = excluded.ended_at, duration = excluded.duration, billsec = excluded.billsec,
	hangup_cause = excluded.hangup_cause, disposition = excluded.disposition, recording_url = excluded.recording_url,
	recording_expires_at = excluded.recording_expires_at, created_at = excluded.created_at`,
		c.CallUUID.String, c.Direction.Value(), c.Caller.Value(), c.Destination.Value(), c.Extension.Value(),
		c.StartedAt.Value(), c.AnsweredAt.Value(), c.EndedAt.Value(), c.Duration.Value(), c.Billsec.Value(), c.HangupCause.Value(), c.Disposition.Value(),
		c.RecordingURL.Value(), c.recordingExpires.Value(), c.updatedAt.Value())
	return err
}
