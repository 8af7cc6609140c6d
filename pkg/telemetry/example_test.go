package telemetry_test

import (
	"fmt"
	"time"

	"github.com/sluicehq/sluice/pkg/telemetry"
)

// A dependency of a team's own shows on /readyz and in the metric sluice_dependency_status.
func ExampleAdmin_Watch() {
	admin, err := telemetry.NewAdmin("crm", "", "") // an address such as 127.0.0.1:3011 serves it
	if err != nil {
		fmt.Println(err)
		return
	}
	since := time.Now()
	unwatch := admin.Watch("crm", func() telemetry.Health {
		return telemetry.Health{Status: telemetry.Degraded, Since: since, Detail: "answers in 3 s", Remedy: "look at its database"}
	})
	defer unwatch()

	ready := admin.Readiness()
	fmt.Println(ready.Status)
	for _, d := range ready.Dependencies {
		fmt.Printf("%s: %s, %s: %s\n", d.Name, d.Status, d.Detail, d.Remedy)
	}
	// Output:
	// degraded
	// crm: degraded, answers in 3 s: look at its database
}
