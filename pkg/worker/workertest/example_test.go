package workertest_test

import (
	"context"
	"fmt"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/worker"
	"github.com/sluicehq/sluice/pkg/worker/workertest"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// A test gives a handler an event of its own making, or a sample of what Zorio sends.
func Example() {
	handle := func(_ context.Context, e *event.Event) error {
		call, err := zorio.Data[zorio.PBXCallHangup](e.Body)
		if err != nil {
			return worker.Permanent(err)
		}
		fmt.Println(e.Name, call.Billsec.Float64, "s")
		return nil
	}
	fmt.Println(handle(context.Background(), workertest.Sample("pbx.call.hangup")))
	fmt.Println(handle(context.Background(), workertest.NewEvent(`{"event": "pbx.call.hangup", "data": {"billsec": 2}}`)))
	fmt.Println(handle(context.Background(), workertest.NewEvent(`{"event": "pbx.call.hangup"}`)))
	// Output:
	// pbx.call.hangup 42 s
	// <nil>
	// pbx.call.hangup 2 s
	// <nil>
	// the body has no object "data"
}
