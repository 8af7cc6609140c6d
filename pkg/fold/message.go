package fold

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
)

// Decode takes the body of an event apart: {"timestamp": …, "tenant_id": …, "data": {…}}. An event without a time of its own counts
// from when it was taken in. The error says what is wrong with the body; trying again would not mend it.
func Decode(e *event.Event) (Entry, error) {
	var body struct {
		Timestamp Time            `json:"timestamp"`
		Tenant    Text            `json:"tenant_id"`
		Data      json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(bytes.ToValidUTF8(e.Body, []byte("�")), &body); err != nil {
		return Entry{}, fmt.Errorf("the body cannot be read: %w", err)
	}
	if len(body.Data) == 0 || body.Data[0] != '{' {
		return Entry{}, errors.New(`the body has no object "data"`)
	}
	at := body.Timestamp.Or(Time{e.Received.UTC()}).Truncate(time.Microsecond)
	return Entry{Kind: e.Name, Delivery: e.Delivery, At: at, Tenant: body.Tenant.String, Data: body.Data}, nil
}
