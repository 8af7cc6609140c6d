package worker_test

import (
	"context"
	"fmt"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/worker"
)

// A consumer is a team's name, the events it wants, and a handler.
func Example() {
	ctx, end := feed("billing", "pbx.call.hangup")
	defer end()

	team := worker.Team{Name: "billing", Events: []string{"pbx.call.hangup"}}
	err := worker.Run(ctx, team, func(_ context.Context, e *event.Event) error {
		fmt.Println(e.Name, e.Delivery)
		return nil
	})
	fmt.Println("ended:", err)
	// Output:
	// pbx.call.hangup delivery-1
	// ended: <nil>
}
