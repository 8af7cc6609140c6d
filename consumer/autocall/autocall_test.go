package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/tablestest"
	"github.com/sluicehq/sluice/pkg/zorio"
)

func TestMain(m *testing.M) { os.Exit(rig.Main(m)) }

func TestTheSamplesInAnyOrder(t *testing.T) {
	tablestest.Every(t, team, func(t *testing.T, x *tablestest.Tables) {
		names := slices.DeleteFunc(zorio.Names(), func(name string) bool { return !strings.HasPrefix(name, "autocall.") })
		rand.Shuffle(len(names), func(a, b int) { names[a], names[b] = names[b], names[a] })
		for _, name := range append(names, names[:5]...) {
			body, _ := zorio.Sample(name)
			x.GiveBody(name, string(body))
		}
		for query, want := range map[string]string{
			`SELECT * FROM autocall_campaigns`: `5|31|null|completed|null|null|null|2026-11-23 03:30:59+00:00|2026-11-23 03:30:59+00:00`,
			`SELECT tenant_id, lead_id, campaign_id, phone, external_ref, state, audio_url, render_error, final_status, total_attempts FROM autocall_leads`:// the audio failed after it was ready
			`5|9001|31|+84912345678|CRM-7781|completed|https://tts.example/9001.mp3|provider timeout|completed|1`,
			`SELECT added_at, completed_at, updated_at FROM autocall_leads`:                                                                          `2026-11-23 03:30:00+00:00|2026-11-23 03:30:51+00:00|2026-11-23 03:30:51+00:00`,
			`SELECT uuid, tenant_id, campaign_id, lead_id, attempt_number, phone, caller_id, queue, state, duration, outcome FROM autocall_attempts`: `6f9b3c52-7a0b-4a3f-8f3e-19d1b0a4c7e2|5|31|9001|1|+84912345678|02873001234|sales|completed|40|answered`,
			`SELECT started_at, answered_at FROM autocall_attempts`:                                                                                  `2026-11-23 03:30:10+00:00|2026-11-23 03:30:15+00:00`,
			`SELECT transferred_at, ended_at FROM autocall_attempts`:                                                                                 `2026-11-23 03:30:21+00:00|2026-11-23 03:30:50+00:00`,
			`SELECT lead_id, uuid, digit, pressed_at, times FROM autocall_keys`:                                                                      `9001|6f9b3c52-7a0b-4a3f-8f3e-19d1b0a4c7e2|1|2026-11-23 03:30:20+00:00|1`,
			`SELECT * FROM autocall_campaign_totals`:                                                                                                 `5|31|null|completed|null|2026-11-23 03:30:59+00:00|1|1|1|1|1`,
			`SELECT * FROM autocall_campaign_keys`:                                                                                                   `5|31|1|1`,
		} {
			if got := x.Rows(query); got != want {
				t.Errorf("after %v: %s\n got %s\nwant %s", names, query, got, want)
			}
		}
	})
}

// twins are the names that mean the same.
var twins = map[string]string{callInitiated: leadDialed, callAnswered: leadAnswered, callTransferred: leadTransferred,
	dtmfPressed: leadDTMFPressed, campaignCompleted: campaignFinished}

func TestTwoNamesOfTheSameAreTheSameRowsAndCountOnce(t *testing.T) {
	x := tablestest.OnSQLite(t, team)
	for name, twin := range twins {
		one := tablestest.Event{Name: name, Delivery: "one", At: 3, Tenant: 5}.With("campaign_id", 31)
		if name != campaignCompleted {
			one = one.With("lead_id", 9001).With("uuid", "u1").With("digit", 1)
		}
		other := one
		other.Name, other.Delivery = twin, "other"
		want := x.After(one)
		for _, events := range [][]tablestest.Event{{other}, {one, other}, {other, one}, {other, one, other, one}} {
			if got := x.After(events...); got != want {
				t.Errorf("%s and %s:\n%s\nwant\n%s", name, twin, got, want)
			}
		}
	}
}

func TestAKeyIsARowForEachTimeItIsPressed(t *testing.T) {
	x := tablestest.OnSQLite(t, team)
	press := tablestest.Event{Name: dtmfPressed, Delivery: "a", Tenant: 5, At: 1}.With("lead_id", 1).With("uuid", "u1").With("campaign_id", 31).With("digit", "1")
	later, again, twin, twinWithoutCall := press, press, press, press
	later.At, later.Delivery = 2, "b"
	again.Delivery = "c" // the same key once more within the second
	twin.Name, twin.Delivery = leadDTMFPressed, "d"
	twinWithoutCall.Name, twinWithoutCall.Delivery = leadDTMFPressed, "e"
	twinWithoutCall = twinWithoutCall.With("uuid", nil)
	for _, c := range []struct {
		events []tablestest.Event
		want   string
	}{
		{[]tablestest.Event{press}, "u1|1|1"},
		{[]tablestest.Event{press, press}, "u1|1|1"},
		{[]tablestest.Event{press, later, later.With("digit", 2)}, "u1|1|1\nu1|1|1\nu1|2|1"},
		{[]tablestest.Event{press, again, press, again}, "u1|1|2"},
		{[]tablestest.Event{press, again, twin}, "u1|1|2"},
		{[]tablestest.Event{twinWithoutCall, press}, "u1|1|1"},
		{[]tablestest.Event{twinWithoutCall}, "null|1|1"},
		{[]tablestest.Event{press, press.With("lead_id", 2), press.With("lead_id", nil)}, "u1|1|1\nu1|1|1\nu1|1|1"},
	} {
		x.After(c.events...)
		if got := x.Rows(`SELECT uuid, digit, times FROM autocall_keys ORDER BY press_id`); got != c.want {
			t.Errorf("%v:\n%s\nwant\n%s", c.events, got, c.want)
		}
	}
}

func TestARowOfAKeyDoesNotGrowWithoutEnd(t *testing.T) {
	x := tablestest.OnSQLite(t, team)
	var events []tablestest.Event
	for n := range 3 * mostTimes {
		e := tablestest.Event{Name: dtmfPressed, Delivery: fmt.Sprint(n)}.With("lead_id", 1).With("digit", "1").With("phone", n)
		events = append(events, e)
	}
	want := x.After(events...)
	if got := x.Rows(`SELECT times FROM autocall_keys`); got != fmt.Sprint(mostTimes) {
		t.Errorf("%s times", got)
	}
	rand.Shuffle(len(events), func(a, b int) { events[a], events[b] = events[b], events[a] })
	if got := x.After(events...); got != want {
		t.Errorf("shuffled:\n%s\nwant\n%s", got, want)
	}
}

func TestWithoutACallAnEventIsOfItsLeadAlone(t *testing.T) {
	x := tablestest.OnSQLite(t, team)
	for n, name := range []string{leadAdded, leadDialed, leadAnswered, leadTransferred} {
		x.Give(tablestest.Event{Name: name, At: n}.With("lead_id", "9001").With("campaign_id", 31))
	}
	x.Give(tablestest.Event{Name: callAnswered}.With("uuid", "u1")) // and without a lead, of its call alone
	if got, want := x.Rows(`SELECT lead_id, state FROM autocall_leads`), "9001|transferred"; got != want {
		t.Errorf("leads %s, want %s", got, want)
	}
	if got, want := x.Rows(`SELECT uuid, state FROM autocall_attempts`), "u1|answered"; got != want {
		t.Errorf("attempts %s, want %s", got, want)
	}
}

func TestStatesGoByTheEventsOwnTime(t *testing.T) {
	x := tablestest.OnSQLite(t, team)
	for _, e := range []tablestest.Event{{Name: campaignFinished, At: 9}, {Name: campaignPaused, At: 3}, {Name: campaignStarted, At: 1}, {Name: campaignResumed, At: 3}} {
		x.Give(e.With("campaign_id", 1))
	}
	for _, e := range []tablestest.Event{{Name: campaignPaused, At: 3}, {Name: campaignStarted, At: 1}} {
		x.Give(e.With("campaign_id", 2))
	}
	x.Give(tablestest.Event{Name: campaignResumed, At: 3}.With("campaign_id", 3), tablestest.Event{Name: campaignPaused, At: 2}.With("campaign_id", 3))
	if got, want := x.Rows(`SELECT campaign_id, state FROM autocall_campaigns ORDER BY 1`), "1|completed\n2|paused\n3|running"; got != want {
		t.Errorf("campaigns:\n%s\nwant\n%s", got, want)
	}
	for _, e := range []tablestest.Event{{Name: callInitiated, At: 9}, {Name: callCompleted, At: 5}, {Name: callAnswered, At: 4}} { // called again
		x.Give(e.With("lead_id", 1).With("uuid", "u"+fmt.Sprint(e.At/6)))
	}
	if got, want := x.Rows(`SELECT state FROM autocall_leads`), "dialed"; got != want {
		t.Errorf("lead %s, want %s", got, want)
	}
	if got, want := x.Rows(`SELECT uuid, state FROM autocall_attempts ORDER BY 1`), "u0|completed\nu1|dialed"; got != want {
		t.Errorf("attempts:\n%s\nwant\n%s", got, want)
	}
}

func TestAudioThatIsMadeAfterAFailureHasNoError(t *testing.T) {
	x := tablestest.OnSQLite(t, team)
	failed, ready := tablestest.Event{Name: ttsRenderFailed, At: 2}.With("lead_id", 1).With("error", "time-out"), tablestest.Event{Name: leadAudioReady, At: 3}.With("lead_id", 1)
	for want, events := range map[string][]tablestest.Event{"time-out": {failed}, "null": {ready, failed}} {
		x.After(events...)
		if got := x.Rows(`SELECT render_error FROM autocall_leads`); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestTenantsWithTheSameIDsDoNotMix(t *testing.T) {
	x := tablestest.OnSQLite(t, team)
	for _, tenant := range []any{5, "6", nil} {
		for n, name := range []string{leadAdded, callInitiated, dtmfPressed, campaignCompleted} {
			e := tablestest.Event{Name: name, At: n, Tenant: tenant}.With("campaign_id", 31).With("lead_id", 1)
			x.Give(e.With("uuid", fmt.Sprint("u", tenant)).With("digit", "1"))
		}
	}
	if got, want := x.Rows(`SELECT tenant_id, campaign_id, leads_known, attempts, keys_pressed FROM autocall_campaign_totals ORDER BY 1`), "|31|1|1|1\n5|31|1|1|1\n6|31|1|1|1"; got != want {
		t.Errorf("totals:\n%s\nwant\n%s", got, want)
	}
}

func draw(t *rapid.T) tablestest.Event {
	e := tablestest.Event{At: rapid.IntRange(0, 2).Draw(t, "at"), Tenant: rapid.SampledFrom([]any{5, "5", 6}).Draw(t, "tenant")}
	e.Name = rapid.SampledFrom(slices.Concat(leadKinds, campaignKinds)).Draw(t, "kind")
	e = e.With("lead_id", rapid.SampledFrom([]any{1, "1", 2}).Draw(t, "lead")).With("campaign_id", rapid.SampledFrom([]any{7, "7", 8}).Draw(t, "campaign"))
	e = e.With("uuid", rapid.SampledFrom([]any{nil, "u1", "u2"}).Draw(t, "call")).With("digit", rapid.SampledFrom([]any{1, "1", "#"}).Draw(t, "digit"))
	for _, key := range []string{"phone", "external_ref", "audio_url", "error", "final_status", "caller_id", "queue", "outcome", "name"} {
		if rapid.Bool().Draw(t, key) {
			e = e.With(key, rapid.SampledFrom([]any{nil, "a", "b"}).Draw(t, key+" value"))
		}
	}
	for _, key := range []string{"started_at", "answered_at", "transferred_at", "ended_at", "pressed_at", "completed_at", "finished_at", "paused_at"} {
		if rapid.Bool().Draw(t, key) {
			e = e.With(key, tablestest.Moment(rapid.IntRange(0, 2).Draw(t, key+" value")))
		}
	}
	for _, key := range []string{"attempt_number", "total_attempts", "duration"} {
		e = e.With(key, rapid.SampledFrom([]any{nil, 1, 2}).Draw(t, key))
	}
	return e
}

// Whatever order events come in, and however often, the rows are the same.
func TestRowsDependOnlyOnWhichEventsCame(t *testing.T) { tablestest.AnyOrder(t, team, draw) }

func TestWhatCannotBeReadIsGivenUpAndWhatIsUnknownPasses(t *testing.T) {
	x := tablestest.OnSQLite(t, team)
	x.GivesUp(leadAdded, `{`, `{"data":{}}`, `{"data":{"uuid":"u1"}}`, `{"tenant_id":[],"data":{"lead_id":1}}`)
	x.GivesUp(callAnswered, `{"data":{}}`, `{"data":{"uuid":"u1","answered_at":"yesterday"}}`)
	x.GivesUp(callInitiated, `{"data":{"uuid":"u1","lead_id":1,"attempt_number":"many"}}`)
	x.GivesUp(dtmfPressed, `{"data":{"digit":1}}`, `{"data":{"lead_id":1}}`, `{"data":{"uuid":"u1","digit":[]}}`)
	x.GivesUp(campaignPaused, `{"data":{"campaign_id":null}}`)
	x.Skips("autocall.lead.merged", `{`)
	x.GiveBody(leadAdded, "{\"data\":{\"lead_id\":\"n\\u0000l\",\"external_ref\":null,\"phone\":\"\xff\"}}")
}
