package tablestest

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sluicehq/sluice/pkg/tables"
)

// AnyOrder checks on each database that the rows depend only on which events came: that events drawn by draw leave the
// same rows when they come shuffled and some of them again. A repeated one has the delivery that it had first.
func AnyOrder(t *testing.T, team tables.Team, draw func(*rapid.T) Event) {
	Every(t, team, func(t *testing.T, x *Tables) {
		rapid.Check(t, func(r *rapid.T) {
			events := rapid.SliceOfN(rapid.Custom(draw), 1, 6).Draw(r, "events")
			for n := range events {
				events[n].Delivery = fmt.Sprint("delivery-", n)
			}
			repeated := rapid.SliceOfN(rapid.SampledFrom(events), 0, 4).Draw(r, "repeated")
			shuffled := rapid.Permutation(append(events[:len(events):len(events)], repeated...)).Draw(r, "order")
			want := x.After(events...)
			if got := x.After(shuffled...); got != want {
				r.Fatalf("in the order they were drawn:\n%s\nshuffled:\n%s", want, got)
			}
		})
	})
}

var created = regexp.MustCompile(`CREATE (TABLE|VIEW) (?:IF NOT EXISTS )?(\w+)`)

// After empties the tables, gives events, and returns all that is then in the tables and views of the team's schema.
func (x *Tables) After(events ...Event) string {
	x.t.Helper()
	names := created.FindAllStringSubmatch(strings.Join(x.team.Schema, "\n"), -1)
	err := x.inbox.Transaction(x.t.Context(), func(ctx context.Context, tx *sql.Tx) error {
		for _, name := range names {
			if name[1] != "TABLE" {
				continue
			}
			if _, err := tx.ExecContext(ctx, "DELETE FROM "+name[2]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		x.t.Fatal(err)
	}
	x.Give(events...)
	var all strings.Builder
	for _, name := range names {
		rows := strings.Split(x.Rows("SELECT * FROM "+name[2]), "\n")
		slices.Sort(rows)
		fmt.Fprintf(&all, "%s:\n%s\n", name[2], strings.Join(rows, "\n"))
	}
	return all.String()
}
