package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/internal/ops/dead"
	"github.com/sluicehq/sluice/internal/ops/replay"
	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/internal/team"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/signature"
)

// all are the commands that can be run, without those that cobra adds.
func all(c *cobra.Command) (commands []*cobra.Command) {
	if c.Runnable() {
		commands = append(commands, c)
	}
	for _, sub := range c.Commands() {
		commands = append(commands, all(sub)...)
	}
	return commands
}

// Every command shows an example, and the examples do what they say. `sluicectl run` is in a test of its own.
func TestEveryExampleRuns(t *testing.T) {
	root, _ := newRoot()
	for _, c := range all(root) {
		if c.Example == "" {
			t.Errorf("%s has no example", c.CommandPath())
		}
		if c.Name() == "run" {
			continue
		}
		t.Run(strings.ReplaceAll(c.CommandPath(), " ", "_"), func(t *testing.T) {
			t.Parallel()
			g := newStageBeside(t)
			g.fill()
			g.captured()
			gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				text := "OK"
				if r.URL.Path == "/readyz" {
					text = `{"status":"ready"}`
				}
				_, _ = io.WriteString(w, text)
			}))
			t.Cleanup(gateway.Close)
			for line := range strings.Lines(c.Example) {
				g.shell(strings.TrimSpace(line), gateway.URL)
			}
		})
	}
}

// foreign is in examples that cannot run here: they name hosts of a company, or go on until somebody stops them. Tests of
// doctor and migrate run both for real.
var foreign = regexp.MustCompile(`//hooks\.example\.com|//n1:| --every | --archive `)

// shell types a line as a person would, who answers y, with another address for the gateway.
func (g *stage) shell(line, gateway string) {
	g.t.Helper()
	line = strings.NewReplacer(defaultURL, gateway, defaultAdmin, strings.TrimPrefix(gateway, "http://")).Replace(line)
	if foreign.MatchString(line) {
		line += " --help" // which refuses unknown flags all the same
	}
	switch verb := strings.Fields(line)[1]; verb {
	case "send":
		line += " --url " + gateway + " --wait 10ms"
	case "ready":
		line += " --admin " + strings.TrimPrefix(gateway, "http://")
	}
	stdout, stderr, err := g.typed(line)
	for again := 0; again < 20 && strings.Contains(stderr, "run it again"); again++ {
		time.Sleep(100 * time.Millisecond) // as told: while it takes on accounts, NATS turns away who comes
		stdout, stderr, err = g.typed(line)
	}
	stale := strings.Contains(line, "verify") && strings.Contains(string(stdout), "more than 300 s from now")
	if err != nil && !stale {
		g.t.Errorf("%s: %v\n%s%s", line, err, stdout, stderr)
	}
	if strings.HasSuffix(line, "-o json") && !strings.Contains(line, " tail ") && !json.Valid(stdout) {
		g.t.Errorf("%s: no JSON\n%s", line, stdout)
	}
	for _, named := range []string{"nats", "stack"} { // folders that examples name
		_ = os.RemoveAll(filepath.Join(g.dir, named))
	}
	left, err := os.ReadDir(g.dir) // a pattern without quotes would be a redirection
	if err != nil || len(left) != 2 {
		g.t.Errorf("%s: leaves %v: %v", line, left, err)
	}
}

// typed runs a line, and answers y.
func (g *stage) typed(line string) (stdout []byte, stderr string, err error) {
	c := exec.Command("sh", "-c", line)
	c.Dir, c.Env = g.dir, append(os.Environ(), "PATH="+filepath.Dir(rig.Build(g.t, "./sluicectl"))+":"+os.Getenv("PATH"))
	for name, value := range g.env {
		c.Env = append(c.Env, name+"="+value)
	}
	c.Stdin = strings.NewReader("y\n")
	var said bytes.Buffer
	c.Stderr = &said
	stdout, err = c.Output()
	return stdout, said.String(), err
}

func TestADeadLetterThatDiesAgainShowsItsHistory(t *testing.T) {
	g := newStage(t)
	g.fill()
	if _, stderr, code := g.ctl(t.Context(), "y\n", "dead", "redrive", "2"); code != 0 {
		t.Fatal(stderr)
	}
	if _, _, code := g.ctl(t.Context(), "", "dead", "show", "2"); code != exitNothing {
		t.Errorf("it is still there: exit code %d", code)
	}
	m, err := stream.Get(t.Context(), g.js, stream.Replay, 1)
	if err != nil {
		t.Fatal(err)
	}
	e, err := event.Parse(m.Subject, m.Header, m.Data)
	if err != nil {
		t.Fatal(err)
	}
	if e.Attempt != 0 || m.Subject != "replay.pbx.zorio.pbx.call.ringing" || m.Header.Get(event.HeaderID) != "redrive.2" || e.Replay != "" {
		t.Errorf("%s: %+v", m.Subject, e)
	}
	trace, _, _ := g.ctl(t.Context(), "", "trace", e.Delivery)
	if !strings.Contains(trace, "redriven from DEAD #2") || !strings.Contains(trace, "database is locked") {
		t.Errorf("while it is on its way:\n%s", trace)
	}
	g.bury("pbx", "exhausted", "still locked", e)
	stdout, _, _ := g.ctl(t.Context(), "", "dead", "show", "6")
	golden(t, "dead-show-again", stdout)
}

func TestTailGoesOnUntilItIsStopped(t *testing.T) {
	g := newStage(t)
	ctx, stop := context.WithCancel(t.Context())
	root, reached := newRoot()
	var out rig.Buffer
	root.SetArgs([]string{"tail", "pbx.>"})
	root.SetOut(&out)
	root.SetErr(io.Discard)
	ended := make(chan int, 1)
	go func() { ended <- exitCode(root.ExecuteContext(ctx), *reached) }()
	rig.Eventually(t, 20*time.Second, "a new event is shown", func() bool {
		g.event("pbx.call.hangup")
		return strings.Contains(out.String(), "pbx.call.hangup")
	})
	g.event("telesales.lead.created")
	stop()
	if code := <-ended; code != exitDone || strings.Contains(out.String(), "telesales") {
		t.Errorf("exit code %d\n%s", code, out.String())
	}
}

// Two streams are one list: what is stored already in the order of time, and then what comes, wherever it comes.
func TestTailShowsWhatBecameNoEventInItsPlace(t *testing.T) {
	g := newStage(t)
	g.event("pbx.call.ringing")
	g.turnedAway("invalid", "401 Invalid signature\x1b[2J", `{"event":"pbx.call.hangup"}`)
	g.event("pbx.call.answered")
	g.event("pbx.call.hangup")
	g.turnedAway("stale", "400 Stale timestamp", `{}`)
	ctx, stop := context.WithCancel(t.Context())
	root, reached := newRoot()
	var out rig.Buffer
	root.SetArgs([]string{"tail", "--refused", "--since", "1h"})
	root.SetOut(&out)
	root.SetErr(io.Discard)
	ended := make(chan int, 1)
	go func() { ended <- exitCode(root.ExecuteContext(ctx), *reached) }()
	const want = `(?s)^\S+ \S+  #1 .*refused #1  401 Invalid signature\\x1b\[2J  refused  27 B  192.0.2.1:50000\n[^\n]*#2 .*#3 .*refused #2  400 Stale[^\n]*\n`
	rig.Eventually(t, 20*time.Second, "what is stored is shown", func() bool { return regexp.MustCompile(want + "$").MatchString(out.String()) })
	g.turnedAway("duplicate", "200 Duplicate", `{}`)
	rig.Eventually(t, 20*time.Second, "what comes is shown", func() bool {
		return regexp.MustCompile(want + `[^\n]*refused #3  200 Duplicate`).MatchString(out.String())
	})
	g.event("pbx.call.voicemail")
	rig.Eventually(t, 20*time.Second, "an event is shown", func() bool { return strings.Contains(out.String(), "#4 ") })
	stop()
	if code := <-ended; code != exitDone {
		t.Errorf("exit code %d\n%s", code, out.String())
	}
	stdout, _, _ := g.ctl(t.Context(), "", "tail", "--refused", "--since", "1h", "--count", "2", "-o", "json")
	if !strings.Contains(stdout, `"event":"pbx.call.ringing"`) || !strings.Contains(stdout, `"cause":"invalid"`) {
		t.Error(stdout)
	}
}

func TestAnInterruptedReplayIsResumedByItsID(t *testing.T) {
	g := newStage(t)
	g.fill()
	ctx, interrupt := context.WithCancel(t.Context())
	root, reached := newRoot()
	var out rig.Buffer
	root.SetArgs([]string{"replay", "--team", "pbx", "--since", "1h", "--rate", "2", "--yes"})
	root.SetOut(&out)
	root.SetErr(&out)
	ended := make(chan error, 1)
	go func() { ended <- root.ExecuteContext(ctx) }()
	rig.Eventually(t, 20*time.Second, "the first copy is queued", func() bool {
		info, err := g.js.Stream(t.Context(), stream.Replay)
		return err == nil && info.CachedInfo().State.Msgs > 0
	})
	interrupt()
	err := <-ended
	if err == nil || exitCode(err, *reached) != exitFailed || !strings.Contains(err.Error(), "interrupted after") {
		t.Fatalf("%v", err)
	}
	words := strings.Split(err.Error(), "`")
	stdout, stderr, code := g.ctl(t.Context(), "", strings.Fields(words[1])[1:]...)
	if code != 0 || !strings.Contains(stdout, "replayed 6 events to pbx\n") {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
	if stdout, _, _ := g.ctl(t.Context(), "", "replay", "list"); !strings.Contains(stdout, "6/6") {
		t.Error(stdout)
	}
}

func TestReleasingWhatWasStoredBeforeIsADuplicate(t *testing.T) {
	g := newStage(t)
	e := func() *event.Event { g.event("pbx.call.hangup"); return g.stored(1) }()
	h := nats.Header{}
	for key, values := range e.Header {
		h[key] = values
	}
	digits := strings.TrimPrefix(h.Get("X-Zorio-Signature"), "sha256=")
	h.Set(event.HeaderID, digits)
	g.publish(&nats.Msg{Subject: event.QuarantineSubject("zorio", "late"), Header: h, Data: e.Body})
	stdout, _, code := g.ctl(t.Context(), "yes\n", "quarantine", "release", "--all")
	if code != 0 || !strings.Contains(stdout, "#1: pbx.call.hangup was stored before (duplicate)") {
		t.Errorf("exit code %d\n%s", code, stdout)
	}
	if _, _, code := g.ctl(t.Context(), "", "quarantine", "list"); code != exitNothing {
		t.Errorf("it is still there: exit code %d", code)
	}
}

func TestAReleasedDeliveryIsTheEventThatTheGatewayWouldHaveMade(t *testing.T) {
	g := newStage(t)
	g.aside("unroutable", `{"name":"x"}`)
	if stdout, stderr, code := g.ctl(t.Context(), "", "quarantine", "release", "1", "--as", "pbx.call.hangup", "--yes"); code != 0 {
		t.Fatalf("%s%s", stdout, stderr)
	}
	e := g.stored(1)
	if !strings.HasPrefix(e.Identity, "aside-12/") || len(e.Identity) != len("aside-12/")+16 || e.Name != "pbx.call.hangup" || string(e.Body) != `{"name":"x"}` || e.Received.IsZero() {
		t.Errorf("%+v", e)
	}
	for key := range e.Header {
		if strings.HasPrefix(key, "Nats-") && key != event.HeaderID {
			t.Errorf("header %s", key)
		}
	}
}

func TestCompletionKnowsTeamsEventsAndFormats(t *testing.T) {
	g := newStage(t)
	g.team("billing", "pbx.>")
	for args, want := range map[string]string{"send pbx.call.h": "pbx.call.hangup", "teams -o ": "json", "dead ": "redrive", "replay --team ": "billing", "dead list --event pbx": "pbx.cdr.created"} {
		root, _ := newRoot()
		var out bytes.Buffer
		root.SetOut(&out)
		root.SetErr(io.Discard)
		root.SetArgs(append([]string{"__complete"}, strings.Split(args, " ")...))
		if err := root.Execute(); err != nil || !strings.Contains(out.String(), want) {
			t.Errorf("%q: %v\n%s", args, err, out.String())
		}
	}
}

// elsewhere are the commands that other tests run: with a gateway, in the quick start, and between two NATS, in
// TestAMigrationLosesAndRepeatsNothing.
var elsewhere = []string{"send", "ready", "migrate"}

// shownLines are what the README and docs/ show of sluicectl, each line once, where no marker says that it runs elsewhere.
func shownLines(t *testing.T) []string {
	lines := map[string]bool{}
	for _, text := range rig.Pages(t) {
		for _, block := range rig.Blocks(text) {
			for line := range strings.Lines(block.Text) {
				line, ours := strings.CutPrefix(strings.TrimSpace(line), "bin/sluicectl ")
				verb, _, _ := strings.Cut(line, " ")
				if ours && block.RunsIn == "" && block.Needs == "" && !slices.Contains(elsewhere, verb) {
					lines[line] = true
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(lines))
}

// Each line that is shown runs on a stage of its own.
func TestTheCommandsShownRun(t *testing.T) {
	for _, line := range shownLines(t) {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			g := newStageBeside(t)
			g.fill()
			g.captured()
			g.shell("sluicectl "+line, "")
		})
	}
}

// With the gateway's environment alone every command finds the NATS that runs inside it, wherever it listens.
func TestTheGatewaysEnvironmentLeadsToItsOwnNATS(t *testing.T) {
	g := newStage(t)
	g.fill()
	_, port, _ := strings.Cut(strings.TrimPrefix(g.js.Conn().ConnectedUrl(), "nats://"), ":")
	t.Setenv("NATS_URL", "")
	for _, listen := range []string{"127.0.0.1:" + port, "0.0.0.0:" + port, ":" + port, "[::]:" + port} {
		t.Setenv("SLUICE_HUB_LISTEN", listen)
		for _, command := range []string{"doctor", "teams"} {
			stdout, stderr, code := g.ctl(t.Context(), "", command, "-o", "json")
			if code != 0 || !strings.Contains(stdout, "telesales") {
				t.Errorf("%s: %s: %d %s%s", listen, command, code, stdout, stderr)
			}
		}
	}
}

func TestHelpAndErrorsShowNoPassword(t *testing.T) {
	t.Setenv("NATS_URL", "nats://u:S3cret@127.0.0.1:1")
	t.Setenv("REDIS_URL", "redis://127.0.0.1:1?password=S3cret")
	g := &stage{t: t}
	for _, args := range []string{"teams --help", "doctor --help", "trace --help", "send --help", "quarantine release --help", "teams", "doctor",
		"send pbx.call.hangup --secret x --url http://u:S3cret@127.0.0.1:1/?key=S3cret --nats=", "send pbx.call.hangup --secret x --url http://u:S3cret@127.0.0.1:x --nats=",
		"replay --since 1h --url ftp://u:S3cret@host --nats nats://127.0.0.1:1"} {
		stdout, stderr, _ := g.ctl(t.Context(), "", strings.Fields(args)...)
		if text := stdout + stderr; text == "" || strings.Contains(text, "S3cret") {
			t.Errorf("%s: %s", args, text)
		}
	}
}

func TestAnAddressWithAPasswordMayBeInAFile(t *testing.T) {
	g := newStage(t)
	g.fill()
	file := filepath.Join(t.TempDir(), "url")
	for _, c := range []struct{ variable, url, want, command string }{
		{"REDIS_URL", "redis://127.0.0.1:1", "Redis does not answer", "trace " + deliveryID(2)},
		{"REDIS_URL", "redis://127.0.0.1:1", "127.0.0.1:1", "doctor"},
		{"REDIS_URL", "redis://127.0.0.1:1", "Redis", "quarantine release 1 --yes"},
		{"DATABASE_URL", "postgres://u:p@127.0.0.1:1/pbx", "127.0.0.1:1", "replay --team pbx --from 1 --to 9 --only-missing --dry-run --rate 0"},
	} {
		if err := os.WriteFile(file, []byte(c.url+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		for named, want := range map[string]string{file: c.want, "/nowhere": c.variable + "_FILE"} {
			t.Setenv(c.variable+"_FILE", named)
			stdout, stderr, code := g.ctl(t.Context(), "", strings.Fields(c.command)...)
			if !strings.Contains(stdout+stderr, want) {
				t.Errorf("%s with %s: %d %s%s", c.command, named, code, stdout, stderr)
			}
		}
		t.Setenv(c.variable+"_FILE", "")
	}
}

// A team is paused, resumed and removed by name; NATS holds it meanwhile, and the audit log says who did it.
func TestATeamIsPausedResumedAndRemoved(t *testing.T) {
	g := newStage(t)
	g.fill()
	expect := func(code int, want string, args ...string) {
		t.Helper()
		stdout, stderr, got := g.ctl(t.Context(), "", args...)
		if got != code || !strings.Contains(stdout+stderr, want) {
			t.Errorf("%v: %d %s%s, want %d %s", args, got, stdout, stderr, code, want)
		}
	}
	expect(0, "no such extension", "teams", "errors", "pbx")
	expect(0, `"error": "database is locked"`, "teams", "errors", "pbx", "-o", "json")
	expect(1, "not confirmed", "teams", "pause", "pbx")
	expect(0, "pbx is paused", "teams", "pause", "pbx", "--yes")
	expect(0, "pbx: paused since ", "teams", "--sample", "0")
	expect(0, "by "+operator()+": `sluicectl teams resume pbx` lets it go on", "teams", "--sample", "0")
	expect(0, "pbx is paused by "+operator(), "doctor")
	expect(0, "pbx is resumed", "teams", "resume", "pbx")
	expect(0, "pbx: no process: start it", "teams", "--sample", "0")
	expect(0, "telesales: 3 events that it has not processed, 0 that wait for a retry and 0 replayed are not given to it any more; its dead letters stay: 1 in DEAD", "teams", "remove", "telesales", "--yes", "--keep-dead")
	expect(3, "there is no such team: telesales: use pbx", "teams", "pause", "telesales")
	expect(0, "team.remove", "audit")
	for _, action := range []string{"team.pause", "team.resume", "team.remove"} {
		if got := g.actions("--action", action); len(got) != 1 || got[0].By != operator() {
			t.Errorf("%s: %+v", action, got)
		}
	}
}

// A team that runs would begin anew when its place is removed.
func TestATeamThatRunsIsNotRemoved(t *testing.T) {
	g := newStage(t)
	g.fill()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		team.Report(ctx, g.js, "pbx", func() team.Process {
			return team.Process{State: team.Blocked, Why: "connection refused\x1b[2J", Since: time.Now()}
		})
	}()
	rig.Eventually(t, 10*time.Second, "teams shows why it is blocked", func() bool {
		stdout, _, _ := g.ctl(t.Context(), "", "teams", "--sample", "0")
		return strings.Contains(stdout, "pbx        blocked") && strings.Contains(stdout, `connection refused\x1b[2J: nothing is lost`)
	})
	stdout, _, _ := g.ctl(t.Context(), "", "trace", deliveryID(7))
	if !strings.Contains(stdout, "    pbx: blocked since ") || !strings.Contains(stdout, "connection refused") {
		t.Errorf("trace does not say that the team is blocked:\n%s", stdout)
	}
	if _, stderr, code := g.ctl(t.Context(), "", "teams", "pause", "pbx", "--yes"); code != 0 {
		t.Errorf("%d %s", code, stderr)
	}
	if _, stderr, code := g.ctl(t.Context(), "", "teams", "remove", "pbx", "--yes"); code != 1 || !strings.Contains(stderr, "pbx is paused, a process of it runs: stop it first") {
		t.Errorf("%d %s", code, stderr)
	}
	if _, stderr, code := g.ctl(t.Context(), "", "teams", "resume", "pbx"); code != 0 {
		t.Errorf("%d %s", code, stderr)
	}
	if _, stderr, code := g.ctl(t.Context(), "", "teams", "remove", "pbx", "--yes"); code != 1 || !strings.Contains(stderr, "pbx is blocked, a process of it runs: stop it first") {
		t.Errorf("%d %s", code, stderr)
	}
	stop()
	<-ended
	if _, stderr, code := g.ctl(t.Context(), "", "teams", "remove", "pbx", "--yes"); code != 0 {
		t.Errorf("%d %s", code, stderr)
	}
}

func TestTeamsAreWatchedUntilCtrlC(t *testing.T) {
	g := newStage(t)
	g.fill()
	ctx, stop := context.WithTimeout(t.Context(), time.Second)
	defer stop()
	stdout, stderr, code := g.ctl(ctx, "", "teams", "--watch", "--sample", "0", "--every", "10ms")
	if code != 0 || stderr != "" || strings.Count(stdout, "TEAM ") < 2 {
		t.Errorf("%d %s%s", code, stdout, stderr)
	}
}

// What programs get does nothing to a terminal, says the same, and can be checked against the sender's signature.
func TestJSONIsHarmlessAndCanBeChecked(t *testing.T) {
	g := newStage(t)
	body := []byte("{ \"event\": \"pbx.call.hangup\",\n \"a\": \"\u009b2J\u202e\U000e0001\x7f\" }")
	g.publish(&nats.Msg{Subject: event.Subject("zorio", "pbx.call.hangup"), Header: headers(stageDelivery, "pbx.call.hangup", body), Data: body})
	for _, args := range []string{"replay --from 1 --to 1 -o ndjson", "tail --since 1h --count 1 -o json"} {
		stdout, stderr, code := g.ctl(t.Context(), "", strings.Fields(args)...)
		if strings.ContainsFunc(stdout, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }) {
			t.Errorf("%s: %q", args, stdout)
		}
		var line replay.Line
		if err := json.Unmarshal([]byte(stdout), &line); err != nil || code != 0 {
			t.Fatalf("%s: %d %v %s%s", args, code, err, stdout, stderr)
		}
		var got, want any
		if err := errors.Join(json.Unmarshal(line.Body, &got), json.Unmarshal(body, &want)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v: %v", args, got, want, err)
		}
		if !bytes.Equal(line.Base64, body) || signature.Sign(stageSecret, line.Base64) != line.Signature {
			t.Errorf("%s: %q cannot be checked with %s", args, line.Base64, line.Signature)
		}
	}
	g.aside("late", "\xff\u009b")
	if stdout, _, _ := g.ctl(t.Context(), "", "quarantine", "show", "1", "-o", "json"); strings.Contains(stdout, "\u009b") || !json.Valid([]byte(stdout)) {
		t.Errorf("%q", stdout)
	}
}

func TestReadyIsOneLineAndItsExitCodeSaysMore(t *testing.T) {
	var answer string
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status); _, _ = io.WriteString(w, answer) }))
	defer server.Close()
	g := &stage{t: t}
	const well = `{"name":"nats","status":"ok","since":"2026-01-31T08:00:00Z"}`
	for _, c := range []struct {
		answer string
		status int
		flags  string
		want   string
		code   int
	}{
		{`{"status":"ready","dependencies":[` + well + `]}`, 200, "", "ready: nats ok\n", 0},
		{`{"status":"degraded","dependencies":[` + well + `,{"name":"seen","status":"degraded","since":"0001-01-01T00:00:00Z","detail":"refused","remedy":"start Redis"}]}`,
			200, "", "degraded: nats ok, seen degraded\n  seen is degraded: refused\n    → start Redis\n", 5},
		{`{"status":"degraded","dependencies":[` + well + `]}`, 200, " --degraded-ok", "degraded: nats ok\n", 0},
		{`{"status":"unavailable","dependencies":[{"name":"nats","status":"down","since":"2026-01-31T08:00:00Z","detail":"gone","remedy":"start it"}]}`,
			503, " --degraded-ok", "unavailable: nats down\n  nats is down since 2026-01-31 ", 1},
		{`Hello`, 200, "", "not a process of Sluice", 1},
	} {
		answer, status = c.answer, c.status
		stdout, stderr, code := g.ctl(t.Context(), "", strings.Fields("ready --admin "+server.Listener.Addr().String()+c.flags)...)
		if code != c.code || !strings.Contains(stdout+stderr, c.want) || c.code == 0 && strings.Count(stdout, "\n") != 1 {
			t.Errorf("%s: %d %q %q", c.answer, code, stdout, stderr)
		}
	}
}

// What is named and is not there reads as all clear when it is answered with nothing.
func TestAnUnknownTeamOrReasonIsSaid(t *testing.T) {
	g := newStage(t)
	g.fill()
	for args, want := range map[string]string{
		"dead list --team nosuch":                       "there is no such team: nosuch: use pbx, telesales",
		"dead list --team nosuch -o json":               "there is no such team: nosuch: use pbx, telesales",
		"dead list --team nosuch --each":                "there is no such team: nosuch: use pbx, telesales",
		"dead list --reason foo":                        `no dead letter has the reason "foo": use permanent or exhausted`,
		"dead list --reason foo --each -o json":         `no dead letter has the reason "foo": use permanent or exhausted`,
		"dead redrive --team nosuch --yes":              "there is no such team: nosuch: use pbx, telesales",
		"dead drop --reason foo --yes":                  `no dead letter has the reason "foo": use permanent or exhausted`,
		"dead list --team telesales --reason exhausted": "no dead letters",
		"quarantine list --reason foo":                  `nothing is in quarantine with the reason "foo": use late, unroutable or replayed`,
		"quarantine list --reason foo -o json":          `nothing is in quarantine with the reason "foo": use late, unroutable or replayed`,
		"quarantine release --reason foo --yes":         `nothing is in quarantine with the reason "foo": use late, unroutable or replayed`,
		"quarantine drop --reason foo --yes":            `nothing is in quarantine with the reason "foo": use late, unroutable or replayed`,
		"replay --team nosuch --since 1h":               "there is no such team: nosuch: use pbx, telesales",
		"teams resume nosuch":                           "there is no such team: nosuch: use pbx, telesales",
	} {
		stdout, stderr, code := g.ctl(t.Context(), "", strings.Fields(args)...)
		if code != exitNothing || !strings.Contains(stderr, want) || stdout != "" {
			t.Errorf("%s: %d %s%s", args, code, stdout, stderr)
		}
	}
}

// An empty list ends with the same exit code for programs as for people.
func TestAnEmptyListEndsWithNothingFoundInJSONToo(t *testing.T) {
	g := newStage(t)
	for args, want := range map[string]string{
		"dead list": "[]", "dead list --each": "[]", "quarantine list": "[]", "refused list": "[]", "replay list": "[]", "audit": "[]", "teams --sample 0": "[]",
		"stats": `"events": 0`,
	} {
		_, stderr, code := g.ctl(t.Context(), "", strings.Fields(args)...)
		stdout, stderrJSON, codeJSON := g.ctl(t.Context(), "", strings.Fields(args+" -o json")...)
		if code != exitNothing || codeJSON != exitNothing || stderr != stderrJSON || !strings.Contains(stdout, want) || !json.Valid([]byte(stdout)) {
			t.Errorf("%s: exit codes %d and %d\n%s%s%s", args, code, codeJSON, stderr, stderrJSON, stdout)
		}
	}
}

// The shell is offered what there is, and files only where a file is wanted.
func TestCompletionKnowsWhatThereIs(t *testing.T) {
	g := newStage(t)
	g.fill()
	for args, want := range map[string]string{
		"replay resume": stageReplay, "replay stop": stageReplay, "dead show": "4\ttelesales telesales.lead.created, permanent: no lead\\x1b[2J", "dead redrive": "2\tpbx", "dead drop": "5\t", "quarantine show": "1\tlate",
		"quarantine release": "2\tunroutable", "quarantine drop": "4\t", "teams pause": "pbx\t", "teams resume": "telesales\t", "teams remove": "pbx\t", "dead list --team": "pbx\t",
		"dead list --reason": "exhausted", "quarantine list --reason": "late", "replay --team": "telesales\t", "send": "pbx.call.hangup", "tail": "pbx.call.hangup", "teams -o": "json", "audit --action": "team.pause",
	} {
		stdout, _, _ := g.ctl(t.Context(), "", append(append([]string{"__complete"}, strings.Fields(args)...), "")...)
		if !strings.Contains("\n"+stdout, "\n"+want) || !strings.Contains(stdout, ":4\n") {
			t.Errorf("%s: %s", args, stdout)
		}
	}
	root, _ := newRoot()
	for _, c := range all(root) {
		words := strings.Fields(c.CommandPath())[1:]
		stdout, _, _ := g.ctl(t.Context(), "", append(append([]string{"__complete"}, words...), "")...)
		if !strings.Contains(stdout, ":4\n") {
			t.Errorf("%s offers files: %s", c.CommandPath(), stdout)
		}
	}
	for _, args := range []string{"verify --headers", "verify --body", "send --body", "teams --creds"} {
		if stdout, _, _ := g.ctl(t.Context(), "", append(append([]string{"__complete"}, strings.Fields(args)...), "")...); !strings.Contains(stdout, ":0\n") {
			t.Errorf("%s offers no files: %s", args, stdout)
		}
	}
}

// Errors that differ in an id or a number are of one kind, and a kind can be sent back at a rate.
func TestDeadLettersAreGroupedAndRedrivenByError(t *testing.T) {
	g := newStage(t)
	g.fill()
	for i, cause := range []string{`lead 4711 is not there`, `lead 12 is not there`, `no column "a"`, `no column "b"`, `timed out`} {
		g.letter("telesales", "exhausted", cause, []uint64{3, 6, 9, 3, 6}[i])
	}
	stdout, _, _ := g.ctl(t.Context(), "", "dead", "list", "--team", "telesales", "--reason", "exhausted", "-o", "json")
	var groups []dead.Group
	if err := json.Unmarshal([]byte(stdout), &groups); err != nil || len(groups) != 3 || groups[0].Count != 2 || groups[2].Error != "timed out" {
		t.Errorf("%v %s", err, stdout)
	}
	if _, stderr, code := g.ctl(t.Context(), "", "dead", "redrive", "--error", "nothing like it", "--yes"); code != exitNothing {
		t.Errorf("%d %s", code, stderr)
	}
	begin := time.Now()
	stdout, stderr, code := g.ctl(t.Context(), "", "dead", "redrive", "--error", "IS NOT THERE", "--rate", "2", "--yes")
	if took := time.Since(begin); code != 0 || !strings.Contains(stdout, "redrove 2 dead letters") || took < 500*time.Millisecond {
		t.Errorf("%d within %s: %s%s", code, took, stdout, stderr)
	}
	if got := g.actions("--action", "dead.redrive"); len(got) != 1 || got[0].What != "error IS NOT THERE" {
		t.Errorf("%+v", got)
	}
}
