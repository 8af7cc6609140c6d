package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/inbox"
	"github.com/sluicehq/sluice/pkg/worker"
	"github.com/sluicehq/sluice/pkg/zorio"
)

func open(t testing.TB, s inbox.Settings) *inbox.Inbox {
	t.Helper()
	i, err := inbox.Open(t.Context(), "pbx", s, schema...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = i.Close() })
	return i
}

var identities int

// handle gives the handler an event with an identity of its own.
func handle(t testing.TB, i *inbox.Inbox, name string, body []byte) error {
	t.Helper()
	identities++
	return handler(i)(t.Context(), &event.Event{Name: name, Identity: fmt.Sprint(identities), Body: body, Received: time.Unix(1e9, 0)})
}

// row reads one row as column → value; times as they are in UTC.
func row(t testing.TB, i *inbox.Inbox, table, id string) map[string]any {
	t.Helper()
	rows, err := i.DB().QueryContext(t.Context(), "SELECT * FROM "+table+" WHERE call_uuid = $1", id)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	if !rows.Next() {
		return nil
	}
	columns, _ := rows.Columns()
	values := make([]any, len(columns))
	for n := range values {
		values[n] = new(any)
	}
	if err := rows.Scan(values...); err != nil {
		t.Fatal(err)
	}
	got := map[string]any{}
	for n, column := range columns {
		value := *values[n].(*any)
		if at, isTime := value.(time.Time); isTime {
			value = at.UTC().Format("2006-01-02 15:04:05+00:00")
		}
		got[column] = value
	}
	return got
}

func every(t *testing.T, test func(t *testing.T, i *inbox.Inbox)) {
	t.Run("SQLite", func(t *testing.T) { test(t, open(t, inbox.Settings{Data: t.TempDir()})) })
	t.Run("PostgreSQL", func(t *testing.T) {
		test(t, open(t, inbox.Settings{DatabaseURL: rig.StartPostgres(t).URL()}))
	})
}

func TestTheSamplesMakeOneCallAndOneRecord(t *testing.T) {
	every(t, func(t *testing.T, i *inbox.Inbox) {
		for _, name := range []string{cdr, hangup, ringing, answered, hangup} { // as no call happens
			body, _ := zorio.Sample(name)
			if err := handle(t, i, name, body); err != nil {
				t.Fatal(err)
			}
		}
		const id = "0d5c1f0e-5a1f-4a57-9a0e-3d1c6b6a2f11"
		got := row(t, i, "calls", id)
		want := map[string]any{
			"call_uuid": id, "direction": "inbound", "caller_number": "0987654321", "destination_number": "0900000020",
			"extension": "1001", "state": "ended", "ringing_at": "2026-11-23 03:30:00+00:00", "started_at": "2026-11-23 03:30:00+00:00",
			"answered_at": "2026-11-23 03:30:06+00:00", "ended_at": "2026-11-23 03:30:48+00:00", "duration": 48.0, "billsec": 42.0,
			"hangup_cause": "NORMAL_CLEARING", "recording_url": "https://recordings.example/0d5c1f0e.wav?sig=abc",
			"recording_expires_at": "2026-11-23 04:00:55+00:00", "updated_at": "2026-11-23 03:30:55+00:00",
		}
		delete(got, "events")
		if !reflect.DeepEqual(got, want) {
			t.Errorf("calls:\n got %v\nwant %v", got, want)
		}
		record := row(t, i, "cdrs", id)
		if record["disposition"] != "ANSWERED" || record["billsec"] != 42.0 || record["created_at"] != "2026-11-23 03:30:55+00:00" {
			t.Errorf("cdrs: %v", record)
		}
	})
}

// sent is an event as the property draws it.
type sent struct {
	name string
	data map[string]any
	at   int // seconds after some moment
}

func (s sent) body(id string) []byte {
	data := map[string]any{"call_uuid": id}
	for key, value := range s.data {
		data[key] = value
	}
	body, err := json.Marshal(map[string]any{"event": s.name, "timestamp": moment(s.at), "data": data})
	if err != nil {
		panic(err)
	}
	return body
}

func moment(seconds int) string {
	return time.Date(2026, 11, 23, 3, 30, seconds, 0, time.UTC).Format(time.RFC3339)
}

func draw(t *rapid.T) sent {
	value := rapid.SampledFrom([]any{nil, "a", "b", "1"})
	s := sent{name: rapid.SampledFrom(kinds).Draw(t, "kind"), at: rapid.IntRange(0, 4).Draw(t, "at"), data: map[string]any{}}
	for _, key := range []string{"direction", "extension", "hangup_cause", "disposition", "recording_url"} {
		if rapid.Bool().Draw(t, key) {
			s.data[key] = value.Draw(t, key+" value")
		}
	}
	for _, key := range []string{"timestamp", "started_at", "answered_at", "ended_at"} {
		switch rapid.IntRange(0, 2).Draw(t, key) {
		case 0:
			s.data[key] = nil
		case 1:
			s.data[key] = moment(rapid.IntRange(0, 9).Draw(t, key+" value"))
		}
	}
	if rapid.Bool().Draw(t, "billsec") {
		s.data["billsec"] = rapid.SampledFrom([]any{nil, 1, 2.5}).Draw(t, "billsec value")
	}
	return s
}

// Whatever order events come in, and however often, the rows are the same.
func TestRowsDependOnlyOnWhichEventsCame(t *testing.T) {
	every(t, func(t *testing.T, i *inbox.Inbox) {
		runs := 0
		rapid.Check(t, func(r *rapid.T) {
			events := rapid.SliceOfN(rapid.Custom(draw), 1, 6).Draw(r, "events")
			again := append(events[:len(events):len(events)], rapid.SliceOfN(rapid.SampledFrom(events), 0, 4).Draw(r, "repeated")...)
			shuffled := rapid.Permutation(again).Draw(r, "order")
			runs++
			one, other := fmt.Sprint(runs, "-one"), fmt.Sprint(runs, "-other")
			apply(t, i, one, events)
			apply(t, i, other, shuffled)
			for _, table := range []string{"calls", "cdrs"} {
				a, b := withoutID(row(t, i, table, one)), withoutID(row(t, i, table, other))
				if !reflect.DeepEqual(a, b) {
					r.Fatalf("%s differ:\n%v\n%v", table, a, b)
				}
			}
		})
	})
}

func apply(t *testing.T, i *inbox.Inbox, id string, events []sent) {
	t.Helper()
	for _, s := range events {
		if err := handle(t, i, s.name, s.body(id)); err != nil {
			t.Fatal(err)
		}
	}
}

func withoutID(row map[string]any) map[string]any {
	delete(row, "call_uuid")
	delete(row, "events")
	return row
}

func TestAnEndedCallNeverRingsAgain(t *testing.T) {
	i := open(t, inbox.Settings{Data: t.TempDir()})
	apply(t, i, "id", []sent{{name: hangup, at: 10}, {name: ringing, at: 30}, {name: answered, at: 20}})
	if state := row(t, i, "calls", "id")["state"]; state != "ended" {
		t.Errorf("state %v", state)
	}
}

func TestWhatCannotBeReadIsGivenUpAndWhatIsUnknownPasses(t *testing.T) {
	i := open(t, inbox.Settings{Data: t.TempDir()})
	for _, body := range []string{``, `{`, `[]`, `{"data":null}`, `{"data":{}}`, `{"data":{"call_uuid":""}}`, `{"data":{"call_uuid":{}}}`,
		`{"data":{"call_uuid":"x","answered_at":"yesterday"}}`, `{"data":{"call_uuid":"x","billsec":"many"}}`, `{"timestamp":"x","data":{"call_uuid":"x"}}`} {
		if err := handle(t, i, hangup, []byte(body)); !worker.IsPermanent(err) {
			t.Errorf("%s: %v", body, err)
		}
	}
	if err := handle(t, i, "pbx.call.parked", []byte(`{`)); err != nil {
		t.Errorf("an unknown kind: %v", err)
	}
	if err := handle(t, i, hangup, []byte("{\"data\":{\"call_uuid\":\"n\\u0000l\",\"extension\":\"\xff\"}}")); err != nil {
		t.Errorf("odd bytes: %v", err)
	}
}

func TestTheKeyIsTheCall(t *testing.T) {
	for body, want := range map[string]string{`{"data":{"call_uuid":"a"}}`: "a", `{"data":{"call_uuid":7}}`: "7", `{`: "", `{}`: ""} {
		if got := callUUID(&event.Event{Body: []byte(body)}); got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}
