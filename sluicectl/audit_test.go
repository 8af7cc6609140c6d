package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/internal/ops/audit"
	"github.com/sluicehq/sluice/internal/stream"
)

// actions are what the audit log has.
func (g *stage) actions(args ...string) (all []audit.Entry) {
	g.t.Helper()
	stdout, stderr, code := g.ctl(g.t.Context(), "", append([]string{"audit", "-o", "json"}, args...)...)
	if code != 0 {
		g.t.Fatal(stderr)
	}
	if err := json.Unmarshal([]byte(stdout), &all); err != nil {
		g.t.Fatal(err)
	}
	return all
}

func TestEveryActionIsInTheAuditLog(t *testing.T) {
	g := newStage(t)
	g.fill()
	for _, c := range []struct {
		args string
		want audit.Entry
	}{
		{"dead redrive --team pbx --reason exhausted --yes", audit.Entry{Action: audit.DeadRedrive, Teams: []string{"pbx"}, What: "team pbx, reason exhausted", IDs: []string{"2", "3"}, Count: 2}},
		{"dead drop 1 5 --yes", audit.Entry{Action: audit.DeadDrop, Teams: []string{"pbx"}, What: "1, 5", IDs: []string{"1", "5"}, Count: 2}},
		{"quarantine release --all --yes", audit.Entry{Action: audit.QuarantineRelease, What: "all", IDs: []string{"1", "3"}, Count: 2, Error: "2 of 4 stay in quarantine"}},
		{"quarantine drop 2 --yes", audit.Entry{Action: audit.QuarantineDrop, What: "2", IDs: []string{"2"}, Count: 1}},
		{"replay --team telesales --from 1 --to 6 --rate 0 --yes", audit.Entry{Action: audit.ReplayStart, Teams: []string{"telesales"}, What: "to telesales, event telesales.>, from 3, to 6", Count: 2}},
		{"replay resume --yes " + stageReplay, audit.Entry{Action: audit.ReplayResume, Teams: []string{"pbx"}, What: "to pbx, event pbx.>, from 1, to 5", IDs: []string{stageReplay}, Count: 2}},
		{"replay stop --purge " + stageReplay, audit.Entry{Action: audit.ReplayPurge, Teams: []string{"pbx"}, What: "to pbx, event pbx.>, from 1, to 5", IDs: []string{stageReplay}, Count: 2}},
	} {
		g.ctl(t.Context(), "", strings.Fields(c.args)...)
		all := g.actions("--action", string(c.want.Action))
		got, want := all[len(all)-1], c.want
		slices.Sort(got.IDs) // several are redriven at once
		want.Sequence, want.At, want.By = got.Sequence, got.At, operator()
		if want.IDs == nil {
			want.IDs = got.IDs
		}
		if a, b := asJSON(t, got), asJSON(t, want); a != b {
			t.Errorf("%s:\n%s\nwant\n%s", c.args, a, b)
		}
	}
	if n := len(g.actions("--team", "pbx", "--action", "replay")); n != 4 {
		t.Errorf("%d actions on replays to pbx, want start, resume, stop and purge", n)
	}
	for args, want := range map[string]int{"audit --action nonsense": exitMisused, "audit --team nobody": exitNothing} {
		if _, stderr, code := g.ctl(t.Context(), "", strings.Fields(args)...); code != want {
			t.Errorf("%s: exit code %d\n%s", args, code, stderr)
		}
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The streams of an older gateway: what an operator has to do is done all the same.
func TestAnActionIsDoneWithoutAnAuditLog(t *testing.T) {
	g := newStage(t)
	g.fill()
	if err := g.js.DeleteStream(t.Context(), stream.Audit); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code := g.ctl(t.Context(), "", "dead", "drop", "1", "--yes")
	if code != 0 || !strings.Contains(stdout, "dropped 1 dead letter") || !strings.Contains(stderr, "start a gateway of this version") {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
	if _, stderr, code := g.ctl(t.Context(), "", "audit"); code != exitFailed || !strings.Contains(stderr, "AUDIT does not exist") {
		t.Errorf("exit code %d\n%s", code, stderr)
	}
}
