package tables_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/sluicehq/sluice/pkg/fold"
	"github.com/sluicehq/sluice/pkg/inbox"
	"github.com/sluicehq/sluice/pkg/tables"
	"github.com/sluicehq/sluice/pkg/worker/workertest"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// calls is the whole of a consumer; its main function is tables.Main(calls).
var calls = tables.Team{
	Name:    "pbx",
	Summary: "keeps the table calls",
	Schema:  []string{`CREATE TABLE IF NOT EXISTS calls (call_uuid TEXT PRIMARY KEY, caller TEXT, seconds BIGINT, events TEXT NOT NULL)`},
	Keep: map[string][]fold.Keeper{
		"pbx.call.ringing": {call.Keep},
		"pbx.call.hangup":  {call.Keep},
	},
	Key: []string{"call_uuid"},
}

var call = fold.Table[callRow]{Name: "calls", Key: []string{"call_uuid"}, Of: callOf}

type callRow struct{ zorio.PBXCallHangup }

// callOf makes a row of the newest event of each kind.
func callOf(newest fold.Newest) (row callRow, err error) {
	if err = fold.Overlay(&row, newest.InOrder("pbx.call.ringing", "pbx.call.hangup")); err != nil {
		return row, err
	}
	if row.CallUUID.String == "" {
		return row, fold.Missing("call_uuid")
	}
	return row, nil
}

func (r callRow) Key() []string { return []string{r.CallUUID.String} }

func (r callRow) Columns() map[string]any {
	return map[string]any{"caller": r.CallerNumber.Value(), "seconds": r.Billsec.Value()}
}

// A team that keeps tables says what they are. Its test gives its handler events, in any order.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "sluice-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	box, err := inbox.Open(ctx, calls.Name, inbox.Settings{Data: dir}, calls.Schema...)
	if err != nil {
		log.Fatal(err)
	}
	defer box.Close()

	handle := calls.Handler(box)
	for _, kind := range []string{"pbx.call.hangup", "pbx.call.ringing", "pbx.call.hangup"} {
		if err := handle(ctx, workertest.Sample(kind)); err != nil {
			fmt.Println(err)
		}
	}
	var caller string
	var seconds int
	if err := box.DB().QueryRowContext(ctx, `SELECT caller, seconds FROM calls`).Scan(&caller, &seconds); err != nil {
		log.Fatal(err)
	}
	fmt.Println(caller, "talked for", seconds, "s")
	// Output:
	// 0987654321 talked for 42 s
}
