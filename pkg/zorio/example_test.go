package zorio_test

import (
	"fmt"

	"github.com/sluicehq/sluice/pkg/zorio"
)

// Each kind of event has a type for its data.
func ExampleData() {
	body := []byte(`{"event": "pbx.call.hangup", "data": {"call_uuid": "0d5c1f0e", "billsec": 42, "answered_at": null}}`)
	call, err := zorio.Data[zorio.PBXCallHangup](body)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(call.CallUUID.String, "talked for", call.Billsec.Float64, "s")
	fmt.Println("answered:", !call.AnsweredAt.IsZero())
	// Output:
	// 0d5c1f0e talked for 42 s
	// answered: false
}

// A type of the team's own reads only what the team needs.
func ExampleData_own() {
	type caller struct {
		Number zorio.Text `json:"caller_number"`
	}
	body, _ := zorio.Sample("pbx.call.ringing")
	c, err := zorio.Data[caller](body)
	fmt.Println(c.Number.String, err)

	_, err = zorio.Data[caller]([]byte(`{"event": "pbx.call.ringing", "data": {"caller_number": true}}`))
	fmt.Println(err)
	// Output:
	// 0987654321 <nil>
	// "data" cannot be read: "caller_number" is neither a string nor a number
}
