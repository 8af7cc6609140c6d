package audit

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func entries(t *testing.T, js jetstream.JetStream, s Selection) (all []*Entry) {
	t.Helper()
	if err := Each(t.Context(), js, s, func(e *Entry) error { all = append(all, e); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestActionsAreKeptAndFoundAgain(t *testing.T) {
	js := rig.Hub(t, stream.Settings{})
	drop := Entry{By: "ops@desk", Action: DeadDrop, Teams: []string{"pbx", "crm"}, What: strings.Repeat("long\n", 1000)}
	for n := range 3 * maxIDs {
		drop.Add(fmt.Sprint(n))
	}
	drop.Failed(errors.New("NATS\nis away"))
	for _, e := range []Entry{drop, {By: "ops@desk", Action: ReplayStart, Teams: []string{"crm"}, Count: 5}, {By: "ops@desk", Action: ReplayStop, Teams: []string{"pbx"}}} {
		if err := Record(t.Context(), js, e); err != nil {
			t.Fatal(err)
		}
	}
	for _, foreign := range []string{"audit.replay.start", "audit.foo"} {
		if _, err := js.Publish(t.Context(), foreign, []byte("not an entry")); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		Selection
		want int
	}{
		"all": {want: 3}, "replays": {Selection{Action: "replay"}, 2}, "one action": {Selection{Action: "replay.stop"}, 1},
		"a team": {Selection{Team: "pbx"}, 2}, "the future": {Selection{Since: time.Now().Add(time.Hour)}, 0},
	} {
		if got := entries(t, js, c.Selection); len(got) != c.want {
			t.Errorf("%s: %d entries, want %d", name, len(got), c.want)
		}
	}
	e := entries(t, js, Selection{Action: "dead.drop"})[0]
	if e.Sequence != 1 || e.By != "ops@desk" || time.Since(e.At) > time.Minute || e.Count != 3*maxIDs || len(e.IDs) != maxIDs || len(e.What) > maxText || e.Error != "NATS is away" {
		t.Errorf("%+v", e)
	}
}

func TestAHubOfAnOlderGatewayHasARemedy(t *testing.T) {
	js := rig.Hub(t, stream.Settings{})
	if err := js.DeleteStream(t.Context(), stream.Audit); err != nil {
		t.Fatal(err)
	}
	err := Record(t.Context(), js, Entry{Action: TeamPause})
	if err == nil || !strings.Contains(err.Error(), "AUDIT does not exist") || !strings.Contains(err.Error(), "gateway of this version") {
		t.Errorf("record: %v", err)
	}
	if err = Each(t.Context(), js, Selection{}, nil); err == nil || !strings.Contains(err.Error(), "gateway of this version") {
		t.Errorf("read: %v", err)
	}
}

func TestActionsHaveNames(t *testing.T) {
	for name, want := range map[string]bool{"replay": true, "dead.drop": true, "team.pause": true, "": false, "rep": false, "replay.": false, "dead.bury": false} {
		if ValidAction(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}
