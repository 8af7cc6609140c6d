package inbox_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"
	"os"

	"github.com/sluicehq/sluice/pkg/inbox"
	"github.com/sluicehq/sluice/pkg/worker/workertest"
)

// However often an event comes, its effect happens once.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "sluice-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	tables, err := inbox.Open(ctx, "billing", inbox.Settings{Data: dir}, `CREATE TABLE IF NOT EXISTS bills (delivery TEXT)`)
	if err != nil {
		log.Fatal(err)
	}
	defer tables.Close()

	e := workertest.Sample("pbx.call.hangup")
	for range 3 {
		err := tables.Once(ctx, e, func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `INSERT INTO bills (delivery) VALUES ($1)`, e.Delivery)
			return err
		})
		fmt.Println("handled:", err == nil)
	}
	var bills int
	if err := tables.DB().QueryRowContext(ctx, `SELECT count(*) FROM bills`).Scan(&bills); err != nil {
		log.Fatal(err)
	}
	fmt.Println("bills:", bills)
	// Output:
	// handled: true
	// handled: true
	// handled: true
	// bills: 1
}
