package tables_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/sluicehq/sluice/internal/tablestest"
	"github.com/sluicehq/sluice/pkg/fold"
	"github.com/sluicehq/sluice/pkg/tables"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// shop keeps orders and the persons who made them.
var shop = tables.Team{
	Name: "shop",
	Schema: []string{
		`CREATE TABLE IF NOT EXISTS orders (tenant_id TEXT, order_id TEXT, item TEXT, events TEXT NOT NULL, PRIMARY KEY (tenant_id, order_id))`,
		`CREATE TABLE IF NOT EXISTS persons (tenant_id TEXT, person_id TEXT, item TEXT, events TEXT NOT NULL, PRIMARY KEY (tenant_id, person_id))`,
	},
	Keep: map[string][]fold.Keeper{
		"shop.ordered": {of("orders", "order_id").Keep, of("persons", "person_id").Keep},
		"shop.broken":  {func(fold.Entry) (fold.Effect, error) { return nil, errors.New("broken") }, of("persons", "person_id").Keep},
	},
	Key: []string{"person_id", "order_id"},
}

type row struct {
	Order  zorio.Text `json:"order_id"`
	Person zorio.Text `json:"person_id"`
	Item   zorio.Text `json:"item"`

	tenant, id string
}

func (r row) Key() []string           { return []string{r.tenant, r.id} }
func (r row) Columns() map[string]any { return map[string]any{"item": r.Item.Value()} }

func of(table, key string) fold.Table[row] {
	return fold.Table[row]{Name: table, Key: []string{"tenant_id", key}, Of: func(newest fold.Newest) (r row, err error) {
		entries := newest.InOrder("shop.ordered")
		if err := fold.Overlay(&r, entries); err != nil {
			return r, err
		}
		r.tenant, r.id = fold.Tenant(entries), map[string]string{"order_id": r.Order.String, "person_id": r.Person.String}[key]
		if r.id == "" {
			return r, fold.Missing(key)
		}
		return r, nil
	}}
}

const (
	orders  = `SELECT tenant_id, order_id, item FROM orders ORDER BY 1, 2`
	persons = `SELECT tenant_id, person_id, item FROM persons ORDER BY 1, 2`
)

func TestAnEventGoesIntoEachTableThatItSaysSomethingAbout(t *testing.T) {
	tablestest.Every(t, shop, func(t *testing.T, x *tablestest.Tables) {
		ordered := tablestest.Event{Name: "shop.ordered", Tenant: 5, At: 2}
		x.Give(ordered.With("order_id", 7).With("person_id", "a").With("item", "tea"))
		x.Give(ordered.With("order_id", "8"))
		x.Give(ordered.With("person_id", "b").With("item", nil))
		if got, want := x.Rows(orders), "5|7|tea\n5|8|null"; got != want {
			t.Errorf("orders:\n%s\nwant\n%s", got, want)
		}
		if got, want := x.Rows(persons), "5|a|tea\n5|b|null"; got != want {
			t.Errorf("persons:\n%s\nwant\n%s", got, want)
		}
	})
}

func TestAnOlderEventChangesNothingAndTenantsDoNotMix(t *testing.T) {
	tablestest.Every(t, shop, func(t *testing.T, x *tablestest.Tables) {
		ordered := tablestest.Event{Name: "shop.ordered", Tenant: 5, At: 2}.With("order_id", 7)
		x.Give(ordered.With("item", "tea"))
		ordered.At = 1
		x.Give(ordered.With("item", "coffee"))
		ordered.Tenant = "6"
		x.Give(ordered.With("item", "milk"))
		ordered.Tenant = nil
		x.Give(ordered.With("item", "rice"))
		if got, want := x.Rows(orders), "|7|rice\n5|7|tea\n6|7|milk"; got != want {
			t.Errorf("orders:\n%s\nwant\n%s", got, want)
		}
	})
}

func TestWhatCannotBeReadIsGivenUpAndWhatIsUnknownPasses(t *testing.T) {
	x := tablestest.OnSQLite(t, shop)
	x.GivesUp("shop.ordered", ``, `{`, `[]`, `{"data":null}`, `{"data":[]}`, `{"data":{}}`, `{"data":{"order_id":""}}`, `{"data":{"order_id":{}}}`,
		`{"timestamp":"yesterday","data":{"order_id":1}}`, `{"tenant_id":{},"data":{"order_id":1}}`)
	x.GivesUp("shop.broken", `{"data":{"person_id":1}}`)
	x.Skips("shop.closed", `{`)
	if got := x.Rows(orders) + x.Rows(persons); got != "" {
		t.Errorf("rows of events that were dead-lettered:\n%s", got)
	}
}

func TestWhatIsMissingIsSaid(t *testing.T) {
	for n, field := range []string{"order_id", "person_id"} {
		_, err := shop.Keep["shop.ordered"][n](fold.Entry{Kind: "shop.ordered", Data: []byte(`{}`)})
		if want := fmt.Sprintf(`"data" has no %q`, field); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
