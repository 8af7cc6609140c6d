package main

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/fold"
	"github.com/sluicehq/sluice/pkg/zorio"
)

var keySchema = []string{
	`CREATE TABLE IF NOT EXISTS autocall_keys (
	press_id TEXT PRIMARY KEY,
	tenant_id TEXT,
	campaign_id TEXT,
	lead_id TEXT,
	uuid TEXT,
	phone TEXT,
	digit TEXT,
	pressed_at TIMESTAMPTZ,
	times BIGINT,
	events TEXT NOT NULL
)`,
	`CREATE INDEX IF NOT EXISTS autocall_keys_campaign ON autocall_keys (tenant_id, campaign_id, digit)`,
	`CREATE INDEX IF NOT EXISTS autocall_keys_lead ON autocall_keys (tenant_id, lead_id)`,
}

// key is a key that a lead pressed at a moment.
//
// The sender's times are in seconds, within which a key may well be pressed twice: two events, of equal bytes. So each
// delivery counts, however often it comes, and times says how many there are. Under both names a press comes twice as
// well: times is that of the name that came more often.
type key struct {
	zorio.AutoCallDTMFPressed

	tenant string
	times  int
}

var keys = fold.Table[key]{Name: "autocall_keys", Key: []string{"press_id"}, Of: keyOf}

var errNoDigit = errors.New(`"data" has no "digit"`)

// keepKey keeps each delivery as a kind of its own: <event name> <delivery id>.
func keepKey(e fold.Entry) (fold.Effect, error) {
	e.Kind += " " + e.Delivery
	return keys.Keep(e)
}

// mostTimes is how often a key counts within a moment: nobody presses faster, and a row does not grow without end.
const mostTimes = 10

// keyOf makes a key of the deliveries that say that it was pressed, and drops those that are too many: it keeps the
// same ones in whatever order they come.
func keyOf(newest fold.Newest) (key, error) {
	times := map[string]int{} // by name
	for _, kind := range slices.Sorted(maps.Keys(newest)) {
		name, _, _ := strings.Cut(kind, " ")
		if times[name] == mostTimes {
			delete(newest, kind)
			continue
		}
		times[name]++
	}
	deliveries := slices.Sorted(maps.Keys(newest))
	entries := newest.InOrder(deliveries...)
	k := key{tenant: fold.Tenant(entries), times: slices.Max(slices.Collect(maps.Values(times)))}
	if err := fold.Overlay(&k, entries); err != nil {
		return k, err
	}
	switch {
	case k.LeadID.String == "" && k.UUID.String == "":
		return k, fold.Missing("lead_id")
	case k.Digit.String == "":
		return k, errNoDigit
	}
	k.PressedAt = k.PressedAt.Or(newest.First(deliveries...))
	return k, nil
}

// Key is one a moment. It has the lead in it rather than the call, which an event that is named after the lead may
// not know: a lead is in one call at a time.
func (k key) Key() []string {
	return []string{strings.Join([]string{k.tenant, cmp.Or(k.LeadID.String, k.UUID.String), k.Digit.String, k.PressedAt.Format(time.RFC3339Nano)}, "/")}
}

func (k key) Columns() map[string]any {
	return map[string]any{
		"tenant_id": k.tenant, "campaign_id": k.CampaignID.Value(), "lead_id": k.LeadID.Value(), "uuid": k.UUID.Value(), "phone": k.Phone.Value(),
		"digit": k.Digit.Value(), "pressed_at": k.PressedAt.Value(), "times": k.times,
	}
}
