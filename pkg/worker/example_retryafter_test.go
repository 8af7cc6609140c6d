package worker_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/worker"
)

// An event that comes too early waits as long as the handler says, and holds nothing else up.
func ExampleRetryAfter() {
	ctx, end := feed("billing", "pbx.cdr.created", "pbx.call.hangup")
	defer end()

	_ = worker.Run(ctx, worker.Team{Name: "billing", Key: func(*event.Event) string { return "one at a time" }},
		func(_ context.Context, e *event.Event) error {
			fmt.Println(e.Name, "attempt", e.Attempt)
			if e.Name == "pbx.cdr.created" && e.Attempt == 1 {
				return worker.RetryAfter(time.Second, errors.New("the recording is not there yet"))
			}
			return nil
		})
	// Output:
	// pbx.cdr.created attempt 1
	// pbx.call.hangup attempt 1
	// pbx.cdr.created attempt 2
}
