package doctor

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/ops/finding"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/internal/team"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

var at = time.Date(2026, 11, 25, 3, 0, 0, 0, time.UTC)

// well is a deployment of which nothing needs anybody.
func well() *Now {
	gateway := &team.Gateway{Readiness: telemetry.Readiness{Status: "ready", PID: 7}, Host: "edge-1", DiskFree: 50 << 30, DiskSize: 100 << 30, Said: at}
	return &Now{At: at, Account: &jetstream.AccountInfo{}, Gateways: []*team.Gateway{gateway},
		Streams: map[string]*jetstream.StreamInfo{
			stream.Events: {Config: jetstream.StreamConfig{Name: stream.Events, Duplicates: stream.DuplicateWindow}, State: jetstream.StreamState{Msgs: 9, LastSeq: 9}},
			stream.Dead:   {Config: jetstream.StreamConfig{Name: stream.Dead}}, stream.Quarantine: {Config: jetstream.StreamConfig{Name: stream.Quarantine}},
		},
		Teams: []*team.Status{{Team: "pbx", Condition: team.Condition{State: team.Working}}},
	}
}

// Each thing that goes wrong is named, with what to do, how bad it is, and which command helps.
func TestWhatIsWrongIsFoundFromNATSAlone(t *testing.T) {
	t.Parallel()
	if all := well().Findings(Seen{}); len(all) != 0 {
		t.Errorf("nothing is wrong: %+v", all)
	}
	soon, old, since := team.Seconds(3600), time.Now().Add(-10*time.Minute), at.Add(-time.Hour)
	for _, c := range []struct {
		wrong func(*Now)
		level finding.Level
		want  string
		about string
		help  string
	}{
		{func(n *Now) { n.Gateways = nil }, finding.Warn, "no gateway has reported", "", ""},
		{func(n *Now) { n.Gateways[0].Said = at.Add(-time.Minute) }, finding.Fail, "no gateway runs: nothing is heard of process 7 on edge-1", "", "sluicectl doctor"},
		{func(n *Now) {
			gone := *n.Gateways[0]
			gone.Host, gone.Said = "edge-2", at.Add(-time.Minute)
			n.Gateways = append(n.Gateways, &gone)
		}, finding.Warn, "nothing is heard of the gateway on edge-2", "", ""},
		{func(n *Now) {
			n.Gateways[0].Dependencies = []telemetry.Dependency{{Name: "journal", Health: telemetry.Health{Status: telemetry.Down, Detail: "full", Remedy: "make room", Since: since}}}
		}, finding.Fail, "the gateway on edge-1: journal: full", "", "sluicectl doctor"},
		{func(n *Now) {
			n.Gateways[0].Dependencies = []telemetry.Dependency{{Name: "sender", Health: telemetry.Health{Status: telemetry.Degraded, Detail: "no verified event for 2h", Remedy: "see", Since: since}}}
		}, finding.Warn, "sender: no verified event for 2h", "", "sluicectl doctor"},
		{func(n *Now) { n.Gateways[0].DiskFree = 1 << 30 }, finding.Fail, "1024 MiB free (1 %) on the disk of the gateway on edge-1", "", ""},
		{func(n *Now) { n.Account.Limits.MaxStore, n.Account.Store = 100, 95 }, finding.Warn, "0 MiB stored of 0 MiB", "", ""},
		{func(n *Now) {
			n.Teams[0].Condition = team.Condition{State: team.Paused, Why: "by anna@desk", Since: &since}
		}, finding.Warn, "pbx is paused by anna@desk", "pbx", "sluicectl teams resume pbx"},
		{func(n *Now) { n.Teams[0].Condition = team.Condition{State: team.Blocked, Why: "no database"} }, finding.Warn, "pbx is blocked: no database", "pbx", "sluicectl teams"},
		{func(n *Now) { n.Teams[0].Lag, n.Teams[0].State = 5, team.NoProcess }, finding.Warn, "5 events pending, and no process", "pbx", "sluicectl teams"},
		{func(n *Now) { n.Teams[0].Lag, n.Teams[0].Oldest, n.Teams[0].DroppedIn = 5, &old, &soon }, finding.Fail, "retention drops the first of 5", "pbx", "sluicectl teams"},
		{func(n *Now) {
			n.Teams[0].Lag, n.Teams[0].Oldest, n.Teams[0].Condition = 5000, &old, team.Condition{State: team.CatchingUp, Why: "3m0s left"}
		}, finding.Warn, "pbx is behind: 5000 events pending, catching up at this rate with 3m0s left", "pbx", "sluicectl teams"},
		{func(n *Now) {
			n.Streams[stream.Dead].State = jetstream.StreamState{Msgs: 3, LastSeq: 12}
			n.Teams[0].Dead = 3
		}, finding.Warn, "3 dead letters (pbx 3) that nobody has looked at", "", "sluicectl dead list"},
		{func(n *Now) { n.Streams[stream.Quarantine].State = jetstream.StreamState{Msgs: 1, LastSeq: 1} }, finding.Warn, "1 authentic delivery in quarantine that nobody has looked at", "", "sluicectl quarantine list"},
	} {
		n := well()
		c.wrong(n)
		all := n.Findings(Seen{})
		if len(all) != 1 || all[0].Level != c.level || !strings.Contains(all[0].Detail, c.want) || all[0].Team != c.about || all[0].Command != c.help || all[0].Remedy == "" {
			t.Errorf("%s: %+v", c.want, all)
		}
	}
}

// The worst comes first, and what somebody has looked at does not come again.
func TestTheWorstComesFirstAndWhatWasSeenNotAgain(t *testing.T) {
	t.Parallel()
	n := well()
	n.Gateways[0].Said = at.Add(-time.Minute)
	n.Streams[stream.Dead].State = jetstream.StreamState{Msgs: 3, LastSeq: 12}
	n.Teams[0].State = team.Paused
	if all := n.Findings(Seen{}); len(all) != 3 || all[0].Level != finding.Fail {
		t.Errorf("%+v", all)
	}
	if all := n.Findings(Seen{Dead: 10}); len(all) != 3 || !strings.Contains(all[2].Detail, "2 dead letters that nobody") {
		t.Errorf("%+v", all)
	}
	if all := n.Findings(Seen{Dead: 12}); len(all) != 2 {
		t.Errorf("%+v", all)
	}
}
