package main

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/sluicehq/sluice/internal/tablestest"
	"github.com/sluicehq/sluice/pkg/zorio"
)

func TestTheSamplesMakeOneCallAndOneRecord(t *testing.T) {
	tablestest.Every(t, team, func(t *testing.T, x *tablestest.Tables) {
		for _, name := range []string{cdr, hangup, ringing, answered, hangup} { // as no call happens
			body, _ := zorio.Sample(name)
			x.GiveBody(name, string(body))
		}
		for query, want := range map[string]string{
			`SELECT call_uuid, direction, caller_number, destination_number, extension, state FROM calls`: `0d5c1f0e-5a1f-4a57-9a0e-3d1c6b6a2f11|inbound|0987654321|0900000020|1001|ended`,
			`SELECT ringing_at, started_at FROM calls`:                                                    `2026-11-23 03:30:00+00:00|2026-11-23 03:30:00+00:00`,
			`SELECT answered_at, ended_at FROM calls`:                                                     `2026-11-23 03:30:06+00:00|2026-11-23 03:30:48+00:00`,
			`SELECT duration, billsec, hangup_cause FROM calls`:                                           `48|42|NORMAL_CLEARING`,
			`SELECT recording_url FROM calls`:                                                             `https://recordings.example/0d5c1f0e.wav?sig=abc`,
			`SELECT recording_expires_at FROM calls`:                                                      `2026-11-23 04:00:55+00:00`,
			`SELECT updated_at FROM calls`:                                                                `2026-11-23 03:30:55+00:00`,
			`SELECT disposition, billsec, created_at FROM cdrs`:                                           `ANSWERED|42|2026-11-23 03:30:55+00:00`,
		} {
			if got := x.Rows(query); got != want {
				t.Errorf("%s\n got %s\nwant %s", query, got, want)
			}
		}
	})
}

func draw(t *rapid.T) tablestest.Event {
	e := tablestest.Event{Name: rapid.SampledFrom(kinds).Draw(t, "kind"), At: rapid.IntRange(0, 4).Draw(t, "at")}.With("call_uuid", "id")
	for _, key := range []string{"direction", "extension", "hangup_cause", "disposition", "recording_url"} {
		if rapid.Bool().Draw(t, key) {
			e = e.With(key, rapid.SampledFrom([]any{nil, "a", "b", "1"}).Draw(t, key+" value"))
		}
	}
	for _, key := range []string{"timestamp", "started_at", "answered_at", "ended_at"} {
		switch rapid.IntRange(0, 2).Draw(t, key) {
		case 0:
			e = e.With(key, nil)
		case 1:
			e = e.With(key, tablestest.Moment(rapid.IntRange(0, 9).Draw(t, key+" value")))
		}
	}
	if rapid.Bool().Draw(t, "billsec") {
		e = e.With("billsec", rapid.SampledFrom([]any{nil, 1, 2.5}).Draw(t, "billsec value"))
	}
	return e
}

// Whatever order events come in, and however often, the rows are the same.
func TestRowsDependOnlyOnWhichEventsCame(t *testing.T) { tablestest.AnyOrder(t, team, draw) }

func TestAnEndedCallNeverRingsAgain(t *testing.T) {
	x := tablestest.OnSQLite(t, team)
	for _, e := range []tablestest.Event{{Name: hangup, At: 10}, {Name: ringing, At: 30}, {Name: answered, At: 20}} {
		x.Give(e.With("call_uuid", "id"))
	}
	if state := x.Rows(`SELECT state FROM calls`); state != "ended" {
		t.Errorf("state %s", state)
	}
}

func TestWhatCannotBeReadIsGivenUpAndWhatIsUnknownPasses(t *testing.T) {
	x := tablestest.OnSQLite(t, team)
	x.GivesUp(hangup, `{"data":{}}`, `{"data":{"call_uuid":""}}`, `{"data":{"call_uuid":{}}}`,
		`{"data":{"call_uuid":"x","answered_at":"yesterday"}}`, `{"data":{"call_uuid":"x","billsec":"many"}}`)
	x.Skips("pbx.call.parked", `{`)
	x.GiveBody(hangup, "{\"data\":{\"call_uuid\":\"n\\u0000l\",\"extension\":\"\xff\"}}")
}
