package main

import (
	"regexp"
	"strings"
	"testing"
)

// What is wrong with a command line is named with its remedy, before anything is done.
func TestMisuseNamesTheRemedy(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"nosuch", "see sluicectl --help"},
		{"teams pause", "see sluicectl teams pause --help"},
		{"teams --nosuch", "see sluicectl teams --help"},
		{"teams --watch --every 0s", "--every 0s: use 10ms or more"},
		{"tail --count -1", "--count -1: use a number of events, or 0"},
		{"send", "--all"},
		{"send pbx.call.hangup --count 0", "--count 0: use 1 or more"},
		{"send pbx.call.hangup --rate -1", "--rate -1: use deliveries a second, or 0"},
		{"send pbx.call.hangup --url ftp://u:GEHEIM@h", `--url "ftp://xxxxx@h" is not a URL: use http://host/path`},
		{"replay --since 1h", "with one of --team, --url, and -o ndjson"},
		{"replay --team pbx --since 1h --rate -1", "or 0 for no limit"},
	} {
		g := newStage(t)
		stdout, stderr, code := g.ctl(t.Context(), "", strings.Fields(c.args)...)
		if code != exitMisused || stdout != "" || !strings.Contains(stderr, c.want) {
			t.Errorf("sluicectl %s: exit code %d\n%s%s", c.args, code, stdout, stderr)
		}
	}
}

func TestUnknownCausesAndTeamsThatAreNotPausedAreSaid(t *testing.T) {
	g := newStage(t)
	g.fill()
	for _, c := range []struct {
		args, want string
		code       int
	}{
		{"refused list --cause forged", `nothing is refused for the cause "forged": use invalid, stale`, exitNothing},
		{"refused list --cause forged -o json", `use invalid, stale`, exitNothing},
		{"replay show nosuch", "sluicectl replay list shows", exitNothing},
		{"teams resume telesales", "telesales is not paused", exitDone},
		{"audit --action team.resume", "no such action is recorded", exitNothing},
	} {
		stdout, stderr, code := g.ctl(t.Context(), "", strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(stdout+stderr, c.want) {
			t.Errorf("sluicectl %s: exit code %d\n%s%s", c.args, code, stdout, stderr)
		}
	}
}

func TestAReplayOfWhatIsMissingSaysHowMuchWas(t *testing.T) {
	g := newStage(t)
	g.fill()
	replay := []string{"replay", "--team", "pbx", "--from", "1", "--to", "9", "--only-missing", "--yes", "--wait", "0s"}
	_, stderr, code := g.ctl(t.Context(), "", replay...)
	found := regexp.MustCompile(`would replay (\d+) events? .*; (\d+) it has already processed`).FindStringSubmatch(stderr)
	id := regexp.MustCompile(`(?m)^replay (\S+)$`).FindStringSubmatch(stderr)
	if code != exitDone || found == nil || id == nil {
		t.Fatal(code, stderr)
	}
	shown, _, _ := g.ctl(t.Context(), "", "replay", "show", id[1])
	for _, want := range []string{"brought +" + found[1] + " of ", "left out +" + found[2] + " event"} {
		if !regexp.MustCompile(want).MatchString(shown) {
			t.Errorf("no %q in\n%s", want, shown)
		}
	}
	listed, _, _ := g.ctl(t.Context(), "", "audit", "--action", "replay.start")
	if want := `replay\.start +pbx +` + found[1] + ` `; !regexp.MustCompile(want).MatchString(listed) {
		t.Errorf("no %q in\n%s", want, listed)
	}
}
