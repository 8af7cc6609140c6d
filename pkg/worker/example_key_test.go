package worker_test

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/worker"
)

// Events of one key are handled one after the other, in the order of the stream; those of other keys beside them.
func ExampleTeam_key() {
	ctx, end := feed("sales", "a.ringing", "b.ringing", "a.answered", "b.answered", "a.hangup", "b.hangup")
	defer end()

	call := func(e *event.Event) string { key, _, _ := strings.Cut(e.Name, "."); return key }
	var mu sync.Mutex
	order := map[string][]string{}
	_ = worker.Run(ctx, worker.Team{Name: "sales", Key: call}, func(_ context.Context, e *event.Event) error {
		mu.Lock()
		defer mu.Unlock()
		order[call(e)] = append(order[call(e)], e.Name)
		return nil
	})
	fmt.Println(order["a"])
	fmt.Println(order["b"])
	// Output:
	// [a.ringing a.answered a.hangup]
	// [b.ringing b.answered b.hangup]
}
