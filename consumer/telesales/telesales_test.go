package main

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/inbox"
	"github.com/sluicehq/sluice/pkg/worker"
	"github.com/sluicehq/sluice/pkg/zorio"
)

func every(t *testing.T, test func(t *testing.T, i *inbox.Inbox)) {
	open := func(t *testing.T, s inbox.Settings) *inbox.Inbox {
		i, err := inbox.Open(t.Context(), "telesales", s, schema...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = i.Close() })
		return i
	}
	t.Run("SQLite", func(t *testing.T) { test(t, open(t, inbox.Settings{Data: t.TempDir()})) })
	t.Run("PostgreSQL", func(t *testing.T) { test(t, open(t, inbox.Settings{DatabaseURL: rig.StartPostgres(t).URL()})) })
}

var identities int

func handle(t *testing.T, i *inbox.Inbox, name, body string) error {
	t.Helper()
	identities++
	return handler(i)(t.Context(), &event.Event{Name: name, Identity: fmt.Sprint(identities), Body: []byte(body), Received: time.Unix(1e9, 0)})
}

// query returns the rows as text, columns separated by |.
func query(t *testing.T, i *inbox.Inbox, text string) string {
	t.Helper()
	rows, err := i.DB().QueryContext(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, _ := rows.Columns()
	var lines []string
	for rows.Next() {
		values := make([]sql.NullString, len(columns))
		into := make([]any, len(columns))
		for n := range values {
			into[n] = &values[n]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		line := make([]string, len(columns))
		for n, v := range values {
			line[n] = v.String
		}
		lines = append(lines, strings.Join(line, "|"))
	}
	return strings.Join(lines, "\n")
}

const (
	leadRows        = `SELECT lead_id, campaign_id, full_name, phone, email, status, disposition, custom_fields FROM leads ORDER BY lead_id`
	dispositionRows = `SELECT disposition_id, lead_id, agent_id, disposition FROM dispositions ORDER BY disposition_id`
	totals          = `SELECT campaign_id, name, total_leads, leads_known, calls_disposed FROM campaign_totals ORDER BY campaign_id`
)

func TestTheSamplesInAnyOrder(t *testing.T) {
	every(t, func(t *testing.T, i *inbox.Inbox) {
		names := []string{leadCreated, leadUpdated, callDisposed, campaignCompleted, leadUpdated, callDisposed}
		rand.Shuffle(len(names), func(a, b int) { names[a], names[b] = names[b], names[a] })
		for _, name := range names {
			body, _ := zorio.Sample(name)
			if err := handle(t, i, name, string(body)); err != nil {
				t.Fatal(err)
			}
		}
		for text, want := range map[string]string{
			leadRows:        `482011|77|Nguyễn Thị Mai|0912345678||contacted|callback|{"ref":"REF-001","note":"Gọi lại sau 17h — khách bận"}`,
			dispositionRows: `482011/0d5c1f0e-5a1f-4a57-9a0e-3d1c6b6a2f11|482011|12|callback`,
			totals:          `77|Tháng 11 – khách cũ|1200|1|1`,
			`SELECT campaign_id, disposition, calls FROM campaign_dispositions`: `77|callback|1`,
		} {
			if got := query(t, i, text); got != want {
				t.Errorf("after %v\n got %s\nwant %s", names, got, want)
			}
		}
	})
}

// lives are events of three leads, some at the same time, some with nulls.
func lives() (events [][2]string) {
	for lead := range 3 {
		for second := range 4 {
			at := fmt.Sprintf("2026-11-23T03:30:%02dZ", second/2)
			add := func(name, data string) {
				events = append(events, [2]string{name, fmt.Sprintf(`{"event":%q,"timestamp":%q,"data":{"id":%d,"campaign_id":%d,%s}}`, name, at, lead, lead%2, data)})
			}
			add(leadCreated, fmt.Sprintf(`"full_name":"lead %d","email":null,"status":"new %d"`, lead, second))
			add(leadUpdated, fmt.Sprintf(`"phone":"0%d","email":"e%d","disposition":null`, second, second))
			add(callDisposed, fmt.Sprintf(`"agent_id":"%d","disposition":"d%d","call_uuid":null`, second, second%3))
			add(callDisposed, fmt.Sprintf(`"agent_id":"%d","disposition":"d%d","call_uuid":"u%d"`, second, second, second%2))
		}
	}
	return events
}

func TestRowsDependOnlyOnWhichEventsCame(t *testing.T) {
	every(t, func(t *testing.T, i *inbox.Inbox) {
		want := ""
		for round := range 12 {
			for _, table := range []string{"leads", "dispositions", "campaigns"} {
				if _, err := i.DB().ExecContext(t.Context(), "DELETE FROM "+table); err != nil {
					t.Fatal(err)
				}
			}
			events := append(lives(), lives()[:10]...)
			rand.Shuffle(len(events), func(a, b int) { events[a], events[b] = events[b], events[a] })
			for _, e := range events {
				if err := handle(t, i, e[0], e[1]); err != nil {
					t.Fatal(err)
				}
			}
			got := query(t, i, leadRows) + "\n" + query(t, i, dispositionRows) + "\n" + query(t, i, totals)
			if want != "" && got != want {
				t.Fatalf("round %d:\n%s\nbefore:\n%s", round, got, want)
			}
			want = got
		}
	})
}

func TestWhatCannotBeReadIsGivenUpAndWhatIsUnknownPasses(t *testing.T) {
	i, err := inbox.Open(t.Context(), "telesales", inbox.Settings{Data: t.TempDir()}, schema...)
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	for _, c := range [][2]string{{leadCreated, `{`}, {leadUpdated, `{"data":{}}`}, {callDisposed, `{"data":{"id":null}}`},
		{campaignCompleted, `{"data":{"campaign_id":null}}`}, {campaignCompleted, `{"data":{"campaign_id":7,"total_leads":"many"}}`}} {
		if err := handle(t, i, c[0], c[1]); !worker.IsPermanent(err) {
			t.Errorf("%v: %v", c, err)
		}
	}
	if err := handle(t, i, "telesales.lead.merged", `{`); err != nil {
		t.Errorf("an unknown kind: %v", err)
	}
}

func TestTheKeyIsTheLeadOrTheCampaign(t *testing.T) {
	for body, want := range map[string]string{`{"data":{"id":7,"campaign_id":1}}`: "7", `{"data":{"campaign_id":1}}`: "campaign 1"} {
		if got := leadOrCampaign(&event.Event{Body: []byte(body)}); got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}
