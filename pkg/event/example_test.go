package event_test

import (
	"fmt"

	"github.com/sluicehq/sluice/pkg/event"
)

// A stored message is an event: its subject, its headers and its data, as any NATS client receives them.
func ExampleParse() {
	header := map[string][]string{
		event.HeaderID:    {"5c3be9d2-0a63-4d3c-8d3c-0f4f0c6f4f55/0123456789abcdef"},
		"X-Zorio-Event":   {"pbx.call.hangup"},
		"Sluice-Received": {"2026-11-23T03:30:48.25Z"},
	}
	e, err := event.Parse("events.zorio.pbx.call.hangup", header, []byte(`{"event": "pbx.call.hangup", "data": {}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(e.Name, "from", e.Source)
	fmt.Println("delivery", e.Delivery)
	fmt.Println("received", e.Received)
	// Output:
	// pbx.call.hangup from zorio
	// delivery 5c3be9d2-0a63-4d3c-8d3c-0f4f0c6f4f55
	// received 2026-11-23 03:30:48.25 +0000 UTC
}

// A team names its events by patterns.
func ExampleMatch() {
	for _, pattern := range []string{"pbx.call.hangup", "pbx.call.*", "pbx.>", "telesales.>"} {
		fmt.Println(pattern, event.Match(pattern, "pbx.call.hangup"))
	}
	// Output:
	// pbx.call.hangup true
	// pbx.call.* true
	// pbx.> true
	// telesales.> false
}
