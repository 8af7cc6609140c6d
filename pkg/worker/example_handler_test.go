package worker_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/worker"
	"github.com/sluicehq/sluice/pkg/worker/workertest"
)

// handleHangup is a team's handler.
func handleHangup(_ context.Context, e *event.Event) error {
	var body struct {
		Data struct {
			CallUUID string `json:"call_uuid"`
		} `json:"data"`
	}
	if err := json.Unmarshal(e.Body, &body); err != nil {
		return worker.Permanent(err)
	}
	if body.Data.CallUUID == "" {
		return worker.Permanent(errors.New(`"data" has no "call_uuid"`))
	}
	return nil
}

// A handler is a function of an event: its test needs no NATS.
func ExampleHandler() {
	fmt.Println(handleHangup(context.Background(), workertest.Sample("pbx.call.hangup")))

	err := handleHangup(context.Background(), workertest.NewEvent(`{"event": "pbx.call.hangup", "data": {}}`))
	fmt.Println(err, worker.IsPermanent(err))
	// Output:
	// <nil>
	// "data" has no "call_uuid" true
}
