// Package tablestest gives events to a team that keeps tables, on each database, and reads what is in the tables.
package tablestest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/inbox"
	"github.com/sluicehq/sluice/pkg/tables"
	"github.com/sluicehq/sluice/pkg/worker"
)

// Tables are a team's tables in a database of their own. Their methods fail the test when they cannot do what they say.
type Tables struct {
	t     testing.TB
	team  tables.Team
	inbox *inbox.Inbox
	given int // events, each with an identity of its own
}

// Every runs a test on each database.
func Every(t *testing.T, team tables.Team, test func(t *testing.T, x *Tables)) {
	t.Parallel()
	t.Run("SQLite", func(t *testing.T) { test(t, OnSQLite(t, team)) })
	t.Run("PostgreSQL", func(t *testing.T) { test(t, Open(t, team, inbox.Settings{DatabaseURL: rig.StartPostgres(t).URL()})) })
}

// OnSQLite opens the tables in a file that is gone after the test.
func OnSQLite(t testing.TB, team tables.Team) *Tables {
	t.Helper()
	return Open(t, team, inbox.Settings{Data: t.TempDir()})
}

// Open opens the tables in a database, until the test ends.
func Open(t testing.TB, team tables.Team, s inbox.Settings) *Tables {
	t.Helper()
	i, err := inbox.Open(t.Context(), team.Name, s, team.Schema...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = i.Close() })
	return &Tables{t: t, team: team, inbox: i}
}

// Event is an event as a test writes it.
type Event struct {
	Name     string
	Delivery string
	At       int // seconds after some moment
	Tenant   any // none where it is nil
	Data     map[string]any
}

// Moment is the time so many seconds after that of [Event], as JSON has it.
func Moment(seconds int) string {
	return time.Date(2026, 11, 23, 3, 30, seconds, 0, time.UTC).Format(time.RFC3339)
}

// With is the event with a field of data set.
func (e Event) With(field string, value any) Event {
	e.Data = maps.Clone(e.Data)
	if e.Data == nil {
		e.Data = map[string]any{}
	}
	e.Data[field] = value
	return e
}

func (e Event) body() string {
	body := map[string]any{"event": e.Name, "timestamp": Moment(e.At), "data": e.Data}
	if e.Tenant != nil {
		body["tenant_id"] = e.Tenant
	}
	text, err := json.Marshal(body)
	if err != nil {
		panic(err) // a test writes what can be written
	}
	return string(text)
}

// Give handles events, one after the other. Each counts as one that was never handled before, whatever its delivery:
// it is the rows that must stand repetition here, not the inbox.
func (x *Tables) Give(events ...Event) {
	x.t.Helper()
	for _, e := range events {
		if err := x.handle(e.Name, e.Delivery, e.body()); err != nil {
			x.t.Fatalf("%s: %v", e.body(), err)
		}
	}
}

// GiveBody handles an event with this body.
func (x *Tables) GiveBody(name, body string) {
	x.t.Helper()
	if err := x.handle(name, "", body); err != nil {
		x.t.Fatalf("%s %s: %v", name, body, err)
	}
}

// Skips checks that an event is nothing for the team.
func (x *Tables) Skips(name, body string) {
	x.t.Helper()
	if err := x.handle(name, "", body); !errors.Is(err, worker.Skip) {
		x.t.Errorf("%s %s: %v", name, body, err)
	}
}

// GivesUp checks that an event with each of these bodies is given up.
func (x *Tables) GivesUp(name string, bodies ...string) {
	x.t.Helper()
	for _, body := range bodies {
		if err := x.handle(name, "", body); !worker.IsPermanent(err) {
			x.t.Errorf("%s %s: %v", name, body, err)
		}
	}
}

func (x *Tables) handle(name, delivery, body string) error {
	x.given++
	return x.team.Handler(x.inbox)(x.t.Context(), &event.Event{
		Name: name, Delivery: delivery, Identity: fmt.Sprint(x.given), Body: []byte(body), Received: time.Unix(1e9, 0),
	})
}

// Rows returns rows as text, a line each, columns separated by |, times in UTC: the same on each database. The column
// events is left out: it is what the others are made of.
func (x *Tables) Rows(query string) string {
	x.t.Helper()
	rows, err := x.inbox.DB().QueryContext(x.t.Context(), query)
	if err != nil {
		x.t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		x.t.Fatal(err)
	}
	var lines []string
	for rows.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for n := range values {
			into[n] = &values[n]
		}
		if err := rows.Scan(into...); err != nil {
			x.t.Fatal(err)
		}
		var texts []string
		for n, value := range values {
			if columns[n] != "events" {
				texts = append(texts, text(value))
			}
		}
		lines = append(lines, strings.Join(texts, "|"))
	}
	if err := rows.Err(); err != nil {
		x.t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

func text(value any) string {
	switch value := value.(type) {
	case nil:
		return "null"
	case time.Time:
		return value.UTC().Format("2006-01-02 15:04:05.999999999-07:00") // as SQLite keeps it
	}
	return fmt.Sprint(value)
}
