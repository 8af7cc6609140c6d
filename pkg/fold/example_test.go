package fold_test

import (
	"fmt"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/fold"
	"github.com/sluicehq/sluice/pkg/worker/workertest"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// The events of a lead come in the wrong order, and one of them twice. The row is the same as in the right order.
func Example() {
	created := workertest.NewEvent(`{"event": "telesales.lead.created", "timestamp": "2026-11-23T03:30:00Z",
		"data": {"id": 7, "full_name": "Mai", "status": "new"}}`)
	updated := workertest.NewEvent(`{"event": "telesales.lead.updated", "timestamp": "2026-11-23T03:31:00Z",
		"data": {"id": 7, "status": "contacted"}}`)

	newest := fold.Newest{}
	for _, e := range []*event.Event{updated, created, updated} {
		entry, err := fold.Decode(e)
		if err != nil {
			fmt.Println(err)
			return
		}
		newest.Add(entry)
	}
	var lead zorio.TelesalesLeadUpdated
	err := fold.Overlay(&lead, newest.InOrder("telesales.lead.created", "telesales.lead.updated"))
	fmt.Println(lead.ID.String, lead.FullName.String, lead.Status.String, err)
	// Output:
	// 7 Mai contacted <nil>
}
