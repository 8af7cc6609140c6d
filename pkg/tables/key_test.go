package tables

import (
	"testing"

	"github.com/sluicehq/sluice/pkg/event"
)

func TestTheKeyIsTheFirstFieldThatIsThere(t *testing.T) {
	team := Team{Key: []string{"id", "campaign_id"}}
	for body, want := range map[string]string{
		`{"data":{"id":"a","campaign_id":1}}`:  "id a",
		`{"data":{"id":7}}`:                    "id 7",
		`{"data":{"id":null,"campaign_id":1}}`: "campaign_id 1",
		`{"data":{"id":{},"campaign_id":1}}`:   "campaign_id 1",
		`{"data":[]}`:                          "",
		`{`:                                    "",
		`{}`:                                   "",
	} {
		if got := team.key(&event.Event{Body: []byte(body)}); got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}
