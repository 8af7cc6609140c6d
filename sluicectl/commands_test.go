package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/team"
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
			g := newStage(t)
			g.fill()
			g.captured()
			gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(w, strings.NewReader("OK"))
			}))
			t.Cleanup(gateway.Close)
			for line := range strings.Lines(c.Example) {
				g.shell(strings.TrimSpace(line), gateway.URL)
			}
		})
	}
}

// shell types a line as a person would, who answers y, with another address for the gateway.
func (g *stage) shell(line, gateway string) {
	g.t.Helper()
	line = strings.NewReplacer(defaultURL, gateway, defaultAdmin, strings.TrimPrefix(gateway, "http://")).Replace(line)
	switch verb := strings.Fields(line)[1]; verb {
	case "send":
		line += " --url " + gateway + " --wait 10ms"
	case "ready":
		line += " --admin " + strings.TrimPrefix(gateway, "http://")
	}
	c := exec.Command("sh", "-c", line)
	c.Env = append(os.Environ(), "PATH="+filepath.Dir(rig.Build(g.t, "./sluicectl"))+":"+os.Getenv("PATH"))
	c.Stdin = strings.NewReader("y\n")
	var stderr bytes.Buffer
	c.Stderr = &stderr
	stdout, err := c.Output()
	stale := strings.Contains(line, "verify") && strings.Contains(string(stdout), "more than 300 s from now")
	if err != nil && !stale {
		g.t.Errorf("%s: %v\n%s%s", line, err, stdout, stderr.String())
	}
	if strings.HasSuffix(line, "-o json") && !strings.Contains(line, " tail ") && !json.Valid(stdout) {
		g.t.Errorf("%s: no JSON\n%s", line, stdout)
	}
	left, err := os.ReadDir(".") // a pattern without quotes would be a redirection
	if err != nil || len(left) != 2 {
		g.t.Errorf("%s: leaves %v: %v", line, left, err)
	}
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

var readmeCommand = regexp.MustCompile(`(?m)^bin/sluicectl (.*)$`)

// What the README shows, on a stage of its own for each line. What needs a gateway is in the tests of the quick start.
func TestTheREADMEsCommandsRun(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(rig.Root(t), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range readmeCommand.FindAllStringSubmatch(string(text), -1) {
		if verb := strings.Fields(line[1])[0]; verb == "send" || verb == "ready" {
			continue
		}
		t.Run(line[1], func(t *testing.T) {
			g := newStage(t)
			g.fill()
			g.captured()
			g.shell("sluicectl "+line[1], "")
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
	expect(1, "not confirmed", "teams", "pause", "pbx")
	expect(0, "pbx is paused", "teams", "pause", "pbx", "--yes")
	expect(0, "pbx: paused since ", "teams", "--sample", "0")
	expect(0, "by "+operator()+": `sluicectl teams resume pbx` lets it go on", "teams", "--sample", "0")
	expect(0, "pbx is paused by "+operator(), "doctor")
	expect(0, "pbx is resumed", "teams", "resume", "pbx")
	expect(0, "pbx: no process: start it", "teams", "--sample", "0")
	expect(0, "would remove the place of telesales: 3 events that it has not processed, 0 that wait to be tried again and 0 replayed are not given to it any more; its dead letters stay: 1 in DEAD", "teams", "remove", "telesales", "--yes")
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
			return team.Process{State: team.Held, Why: "connection refused\x1b[2J", Since: time.Now()}
		})
	}()
	rig.Eventually(t, 10*time.Second, "teams shows why it is held", func() bool {
		stdout, _, _ := g.ctl(t.Context(), "", "teams", "--sample", "0")
		return strings.Contains(stdout, "pbx        held") && strings.Contains(stdout, `connection refused\x1b[2J: nothing is lost`)
	})
	if _, stderr, code := g.ctl(t.Context(), "", "teams", "remove", "pbx", "--yes"); code != 1 || !strings.Contains(stderr, "pbx is held, a process of it runs: stop it first") {
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
