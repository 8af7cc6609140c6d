package fold

import (
	"time"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// Decode takes the body of an event apart. An event without a time of its own counts from when it was taken in. The
// error says what is wrong with the body; a retry is useless.
func Decode(e *event.Event) (Entry, error) {
	body, err := zorio.ParseBody(e.Body)
	if err != nil {
		return Entry{}, err
	}
	at := body.Timestamp.Or(zorio.Time{Time: e.Received.UTC()}).Truncate(time.Microsecond)
	return Entry{Kind: e.Name, Delivery: e.Delivery, At: at, Tenant: body.TenantID.String, Data: body.Data}, nil
}
