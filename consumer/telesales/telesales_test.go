package main

import (
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/sluicehq/sluice/internal/tablestest"
	"github.com/sluicehq/sluice/pkg/zorio"
)

func TestTheSamplesInAnyOrder(t *testing.T) {
	tablestest.Every(t, team, func(t *testing.T, x *tablestest.Tables) {
		names := []string{leadCreated, leadUpdated, callDisposed, campaignCompleted, leadUpdated, callDisposed}
		rand.Shuffle(len(names), func(a, b int) { names[a], names[b] = names[b], names[a] })
		for _, name := range names {
			body, _ := zorio.Sample(name)
			x.GiveBody(name, string(body))
		}
		for query, want := range map[string]string{
			`SELECT lead_id, campaign_id, full_name, phone, email, status, disposition FROM leads`: `482011|77|Nguyễn Thị Mai|0912345678|null|contacted|callback`,
			`SELECT custom_fields FROM leads`:                                                         `{"ref":"REF-001","note":"Gọi lại sau 17h — khách bận"}`,
			`SELECT disposition_id, lead_id, agent_id, disposition FROM dispositions`:                 `482011/0d5c1f0e-5a1f-4a57-9a0e-3d1c6b6a2f11|482011|12|callback`,
			`SELECT campaign_id, name, total_leads, leads_known, calls_disposed FROM campaign_totals`: `77|Tháng 11 – khách cũ|1200|1|1`,
			`SELECT campaign_id, disposition, calls FROM campaign_dispositions`:                       `77|callback|1`,
		} {
			if got := x.Rows(query); got != want {
				t.Errorf("after %v: %s\n got %s\nwant %s", names, query, got, want)
			}
		}
	})
}

func draw(t *rapid.T) tablestest.Event {
	kinds := []string{leadCreated, leadUpdated, callDisposed, campaignCompleted}
	e := tablestest.Event{Name: rapid.SampledFrom(kinds).Draw(t, "kind"), At: rapid.IntRange(0, 2).Draw(t, "at")}
	e = e.With("id", rapid.IntRange(1, 2).Draw(t, "lead")).With("campaign_id", rapid.SampledFrom([]any{7, "7", 8}).Draw(t, "campaign"))
	for _, key := range []string{"full_name", "phone", "email", "status", "disposition", "call_uuid", "agent_id", "name", "custom_fields"} {
		if rapid.Bool().Draw(t, key) {
			e = e.With(key, rapid.SampledFrom([]any{nil, "a", "b", 1}).Draw(t, key+" value"))
		}
	}
	for _, key := range []string{"disposed_at", "completed_at"} {
		if rapid.Bool().Draw(t, key) {
			e = e.With(key, tablestest.Moment(rapid.IntRange(0, 2).Draw(t, key+" value")))
		}
	}
	return e.With("total_leads", rapid.SampledFrom([]any{nil, 1, 2}).Draw(t, "total"))
}

// Whatever order events come in, and however often, the rows are the same.
func TestRowsDependOnlyOnWhichEventsCame(t *testing.T) { tablestest.AnyOrder(t, team, draw) }

func TestWhatCannotBeReadIsGivenUpAndWhatIsUnknownPasses(t *testing.T) {
	x := tablestest.OnSQLite(t, team)
	x.GivesUp(leadCreated, `{`)
	x.GivesUp(leadUpdated, `{"data":{}}`)
	x.GivesUp(callDisposed, `{"data":{"id":null}}`)
	x.GivesUp(campaignCompleted, `{"data":{"campaign_id":null}}`, `{"data":{"campaign_id":7,"total_leads":"many"}}`)
	x.Skips("telesales.lead.merged", `{`)
}
