package worker_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/inbox"
	"github.com/sluicehq/sluice/pkg/worker"
)

// The effect and the fact that it happened are committed together: however often the event comes, it happens once.
func Example_transaction() {
	ctx, end := feed("billing", "pbx.call.hangup", "pbx.call.hangup")
	defer end()
	dir, err := os.MkdirTemp("", "sluice-example-")
	must(err)
	defer func() { must(os.RemoveAll(dir)) }()

	tables, err := inbox.Open(ctx, "billing", inbox.Settings{Data: dir}, `CREATE TABLE IF NOT EXISTS bills (delivery TEXT)`)
	must(err)
	defer tables.Close()
	_ = worker.Run(ctx, worker.Team{Name: "billing"}, func(ctx context.Context, e *event.Event) error {
		bill := func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `INSERT INTO bills (delivery) VALUES ($1)`, e.Delivery)
			return err
		}
		if err := tables.Once(ctx, e, bill); err != nil {
			return err
		}
		return tables.Once(ctx, e, bill) // as if it had come again
	})
	var count int
	must(tables.DB().QueryRowContext(context.Background(), `SELECT count(*) FROM bills`).Scan(&count))
	fmt.Println(count, "bills for 2 events")
	// Output:
	// 2 bills for 2 events
}
