package worker_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/worker"
)

// What trying again would not mend is given up at once: the event goes to DEAD with the reason, and waits there for
// somebody to look at it.
func ExamplePermanent() {
	ctx, end := feed("billing", "pbx.call.hangup")
	defer end()

	_ = worker.Run(ctx, worker.Team{Name: "billing"}, func(_ context.Context, e *event.Event) error {
		fmt.Println("attempt", e.Attempt)
		return worker.Permanent(errors.New(`"data" has no "call_uuid"`))
	})
	// Output:
	// attempt 1
}
