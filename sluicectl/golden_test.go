package main

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files")

// What differs from run to run becomes the same, and as wide.
var normal = []struct {
	what *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [A-Z]{3,4}\b`), "2026-01-31 08:00:00 UTC"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`), "2026-01-31T08:00:00Z"},
	{regexp.MustCompile(`\d\d:\d\d–\d\d:\d\d [A-Z]{3,4}\b`), "13:02–14:47 UTC"},
	{regexp.MustCompile(`\d\d:\d\d:\d\d\.\d{3} [A-Z]{3,4} `), "08:00:00.000 UTC "},
	{regexp.MustCompile(`[\d.]+ ms`), "1.0 ms"},
	{regexp.MustCompile(`[\d.]+/(s|min) +`), "3.0/s  "},
	{regexp.MustCompile(`RATE +BYTES`), "RATE   BYTES"},
	{regexp.MustCompile(`\b\d{8}-\d{6}-[a-z2-7]{4}\b`), stageReplay},
	{regexp.MustCompile(`\b\d\ds `), "1s  "},
	{regexp.MustCompile(`\b\ds\b`), "1s"},
	{regexp.MustCompile(`X-Zorio-Timestamp: \d+`), "X-Zorio-Timestamp: 1764000000"},
	{regexp.MustCompile(`redriven from DEAD #(\d+) by \S+`), "redriven from DEAD #$1 by ops@desk"},
	{regexp.MustCompile(`2\.\d+\.\d+ at nats://127\.0\.0\.1:\d+`), "2.15.0 at nats://127.0.0.1:4222"},
	{regexp.MustCompile(`[\d.]+ s off the clock of NATS, ± [\d.]+ s`), "0.001 s off the clock of NATS, ± 0.001 s"},
	{regexp.MustCompile(`(?m)^(?:ok  |warn|fail)  disk .*\n(?: +→ .*\n)?`), "ok    disk          20GiB free (50 %) on the disk of ./data\n"}, // however full this machine's is
}

func normalised(text string) string {
	for _, n := range normal {
		text = n.what.ReplaceAllString(text, n.with)
	}
	return text
}

// golden compares a command's output with what is kept of it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	got = normalised(got)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not as it was; `go test ./sluicectl -update` keeps it:\n%s\ninstead of\n%s", name, got, want)
	}
}

func TestWhatCommandsPrint(t *testing.T) {
	g := newStage(t)
	g.fill()
	testdata, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	g.captured()
	t.Chdir(g.dir)
	if err := os.Symlink(testdata, "testdata"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string // of the golden file
		args string
		code int
	}{
		{"dead-list", "dead list", 0},
		{"dead-list-json", "dead list -o json", 0},
		{"dead-list-each", "dead list --each --team pbx", 0},
		{"dead-list-none", "dead list --team nobody", 3},
		{"dead-show", "dead show 4", 0},
		{"dead-show-none", "dead show 99", 3},
		{"dead-redrive-not-confirmed", "dead redrive --all", 1},
		{"dead-redrive-what", "dead redrive", 2},
		{"teams", "teams --sample 0", 0},
		{"replay-dry-run", "replay --team pbx --since 1h --dry-run", 0},
		{"replay-only-missing", "replay --team pbx --since 1h --only-missing --dry-run --rate 0", 0},
		{"replay-unknown-team", "replay --team nobody --since 1h", 3},
		{"replay-nothing", "replay --team pbx --event autocall.>", 3},
		{"replay-no-target", "replay --since 1h", 2},
		{"replay-bad-time", "replay --team pbx --since soon", 2},
		{"replay-list", "replay list", 0},
		{"replay-ndjson", "replay --from 1 --to 1 -o ndjson", 0},
		{"quarantine-list", "quarantine list", 0},
		{"quarantine-show", "quarantine show 4", 0},
		{"quarantine-release-unroutable", "quarantine release 2 --yes", 1},
		{"stats", "stats", 0},
		{"stats-none", "stats --since 0s", 3},
		{"tail", "tail --since 1h --count 3", 0},
		{"tail-body", "tail pbx.call.ringing --since 1h --count 1 --body", 0},
		{"trace", "trace " + stageDelivery, 0},
		{"trace-none", "trace nobody", 3},
		{"search", "search " + stageDelivery, 0},
		{"search-none", "search nowhere --last 3", 3},
		{"verify", "verify --headers headers.txt --body body.json --at 2026-01-31T08:00:00Z", 0},
		{"verify-stale", "verify --headers headers.txt --body body.json --secret another-secret --at 2026-01-31T08:10:00Z", 1},
		{"no-nats", "teams --nats nats://127.0.0.1:1", 4},
		{"unknown-flag", "teams --sampel 3", 2},
		{"unknown-format", "teams -o yaml", 2},
		{"unknown-command", "teem", 2},
		{"doctor", "doctor", 0},
		{"audit", "audit --team telesales", 0},
		{"dead-redrive", "dead redrive --team pbx --event pbx.call.ringing --yes", 0},
		{"replay-run", "replay --team pbx --since 1h --rate 0 --yes", 0},
		{"replay-resume", "replay resume --yes " + stageReplay, 0},
		{"replay-stop-purge", "replay stop " + stageReplay + " --purge", 0},
		{"quarantine-release", "quarantine release --reason late --yes", 0},
		{"quarantine-drop", "quarantine drop --all --yes", 0},
		{"dead-drop", "dead drop 1 5 --yes", 0},
	} {
		stdout, stderr, code := g.ctl(t.Context(), "", strings.Fields(c.args)...)
		if code != c.code {
			t.Errorf("%s: exit code %d, want %d", c.args, code, c.code)
		}
		golden(t, c.name, stdout+stderr)
	}
}
