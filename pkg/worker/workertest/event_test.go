package workertest

import (
	"context"
	"database/sql"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/inbox"
	"github.com/sluicehq/sluice/pkg/zorio"
)

func TestEachEventIsADeliveryOfItsOwn(t *testing.T) {
	tables, err := inbox.Open(t.Context(), "test", inbox.Settings{Data: t.TempDir()}, `CREATE TABLE IF NOT EXISTS effects (delivery TEXT)`)
	if err != nil {
		t.Fatal(err)
	}
	defer tables.Close()
	const body = `{"event": "pbx.call.hangup", "data": {}}`
	one, other := NewEvent(body), NewEvent(body)
	for _, e := range []*event.Event{one, other, one} {
		err := tables.Once(t.Context(), e, func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `INSERT INTO effects (delivery) VALUES ($1)`, e.Delivery)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	var all, different int
	row := tables.DB().QueryRowContext(t.Context(), `SELECT count(*), count(DISTINCT delivery) FROM effects`)
	if err := row.Scan(&all, &different); err != nil || all != 2 || different != 2 {
		t.Errorf("%d effects of %d deliveries, 2 of 2 wanted: %v", all, different, err)
	}
}

func TestEverySampleIsAnEvent(t *testing.T) {
	for _, name := range zorio.Names() {
		if e := Sample(name); e.Name != name || e.Attempt != 1 || e.Sequence == 0 {
			t.Errorf("%+v", e)
		}
	}
}

func TestWhatIsNoEventSaysWhy(t *testing.T) {
	for want, f := range map[string]func(){
		`has no "event"`:    func() { NewEvent(`{"data": {}}`) },
		"no sample of that": func() { Sample("pbx.call.hangpu") },
		"not a JSON":        func() { NewEvent("") },
	} {
		if !strings.Contains(said(f), want) {
			t.Errorf("it does not say %q: %s", want, said(f))
		}
	}
}

// said is what f panics with.
func said(f func()) (text string) {
	defer func() { text, _ = recover().(string) }()
	f()
	return ""
}
