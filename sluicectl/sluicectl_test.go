package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/pkg/zorio"
)

func TestMain(m *testing.M) { os.Exit(rig.Main(m)) }

// everything is `sluicectl run` on ports of its own.
type everything struct {
	*rig.Process
	t           *testing.T
	environment []string
	url, admin  string
}

func runEverything(t *testing.T, settings ...string) *everything {
	t.Helper()
	rig.Build(t, "./gateway")
	rig.Build(t, "./console")
	for _, team := range teams {
		rig.Build(t, "./consumer/"+team)
	}
	listen, admin, hub := rig.Address(t), rig.Address(t), rig.Address(t)
	e := &everything{t: t, url: "http://" + listen + "/webhook", admin: admin, environment: rig.Environment(
		"SLUICE_LISTEN="+listen, "SLUICE_ADMIN="+admin, "SLUICE_HUB_LISTEN="+hub, "SLUICE_DATA="+t.TempDir(), "NATS_URL=")}
	e.environment = append(e.environment, settings...)
	e.Process = rig.Start(t, rig.Build(t, "./sluicectl"), []string{"run"}, e.environment)
	e.WaitFor("bin/sluicectl send pbx.call.hangup --url "+e.url, 90*time.Second)
	for _, team := range teams {
		e.WaitFor(`"msg":"working","team":"`+team+`"`, time.Minute)
	}
	e.environment = append(e.environment, "NATS_URL=nats://"+hub)
	return e
}

// ctl runs a sluicectl command and returns its output and exit code.
func (e *everything) ctl(args ...string) (string, int) {
	e.t.Helper()
	if args[0] == "send" { // on a busy machine an event is followed for longer
		args = append(args, "--wait", "60s")
	}
	c := exec.Command(rig.Build(e.t, "./sluicectl"), args...)
	c.Env = e.environment
	output, err := c.CombinedOutput()
	if err != nil && c.ProcessState == nil {
		e.t.Fatal(err)
	}
	return string(output), c.ProcessState.ExitCode()
}

func TestANewcomerSeesAnEventHappen(t *testing.T) {
	e := runEverything(t)
	if !strings.Contains(e.Output(), "generated a webhook secret") {
		t.Error("it does not say that it made a secret")
	}
	e.saysWhereMetricsAre()
	e.showsTheConsole()
	fax := filepath.Join(t.TempDir(), "fax.json")
	if err := os.WriteFile(fax, []byte(`{"event":"fax.page.received","timestamp":"2026-11-23T03:30:00Z","data":{}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string // a regular expression
		code int
	}{
		{[]string{"send", "pbx.call.hangup", "--url", e.url}, `answered 200 OK in [\d.]+ ms\n  stored as EVENTS #1 on events\.zorio\.pbx\.call\.hangup\n  processed by pbx in [\d.]+ ms\n$`, 0},
		{[]string{"send", "telesales.lead.created", "--url", e.url, "--repeat"}, `(?s)processed by telesales.*answered 200 Duplicate`, 0},
		{[]string{"send", "autocall.dtmf.pressed", "--url", e.url}, `processed by autocall`, 0},
		{[]string{"send", "fax.page.received", "--url", e.url, "--body", fax}, `no team takes this event yet`, 0},
		{[]string{"send", "--all", "--url", e.url}, `(?s)(answered 200 OK.*){18}`, 0},
		{[]string{"send", "pbx.call.ringing", "--url", e.url, "--count", "200", "--rate", "1000"}, `200 OK: 200`, 0},
		{[]string{"stats"}, `(?m)^pbx\.call\.ringing +201 `, 0}, // each is an event of its own, and none in quarantine
		{[]string{"send", "fax.page.received", "--url", e.url, "--body", fax, "--count", "2"}, `200 OK: 2\nall had the same bytes: .*SLUICE_MAX_COPIES`, 0},
		{[]string{"send", "pbx.call.ringing", "--url", e.url, "--secret", "not the secret"}, `401 Invalid signature(?s).*another secret`, 1},
		{[]string{"send", "pbx.call.ringing", "--url", e.url, "--secret", "not the secret", "--count", "2"}, `401 Invalid signature: 2\n.*another secret`, 1},
		{[]string{"send", "pbx.call.ringing", "--url", strings.TrimSuffix(e.url, "/webhook")}, `404 Not found(?s).*SLUICE_PATH`, 1},
		{[]string{"refused", "list", "--cause", "invalid"}, `2 +invalid .* 127\.0\.0\.1:\d+ .* 401 Invalid signature`, 0},
		{[]string{"refused", "list", "--cause", "duplicate"}, `1 +duplicate .* 200 Duplicate`, 0}, // its --repeat
		{[]string{"refused", "show", "2"}, `(?s)no secret made this signature.*POST /webhook HTTP/1.1.*body, \d+ bytes, whole.*pbx\.call\.ringing`, 0},
		{[]string{"verify", "--refused", "2"}, `(?m)^fail +signature`, 1},
		{[]string{"refused", "show", "99"}, `no refused request is #99`, 3},
		{[]string{"refused", "list", "--cause", "stale"}, `no refused request is kept`, 3},
		{[]string{"send", "pbx.call.nonsense", "--url", e.url}, `pbx\.call\.hangup`, 1},
		{[]string{"send", "pbx.call.ringing", "--url", "http://" + rig.Address(t)}, `make run`, 1},
		{[]string{"send"}, `--all`, 2},
		{[]string{"ready", "--degraded-ok"}, `^(ready|degraded): nats ok, journal ok, durability (ok|degraded), sender ok\n  durability`, 0}, // the tests' folder need not be on a disk
		{[]string{"doctor"}, `(?s)ok    settings .* gateway +durability: (synced|in memory of this machine).*ok    permissions .*ok    teams         autocall, pbx, telesales`, 0},
		{[]string{"teams"}, `(?m)^TEAM .*\nautocall +working +autocall\.> .*\npbx +working +pbx\.> .*\ntelesales +working +telesales\.> `, 0},
		{[]string{"ready", "--admin", rig.Address(t)}, `SLUICE_ADMIN`, 1},
	} {
		output, code := e.ctl(c.args...)
		isRight := func() bool { return code == c.code && regexp.MustCompile(c.want).MatchString(output) }
		// What the others tell of may come a moment later: an event in the stream, a request that is kept, a state.
		for deadline := time.Now().Add(20 * time.Second); c.args[0] != "send" && !isRight() && time.Now().Before(deadline); {
			output, code = e.ctl(c.args...)
		}
		if !isRight() {
			t.Errorf("sluicectl %s: exit code %d\n%s", strings.Join(c.args, " "), code, output)
		}
	}
	e.Signal(syscall.SIGINT)
	if code := e.Wait(time.Minute); code != 0 {
		t.Errorf("exit code %d", code)
	}
	e.leavesNothing()
}

// saysWhereMetricsAre looks at each address that it names.
func (e *everything) saysWhereMetricsAre() {
	e.t.Helper()
	for _, name := range append([]string{"gateway"}, teams...) {
		line := regexp.MustCompile(`(?m)^    ` + name + ` +(http://\S+/readyz) +(http://\S+/metrics)$`).FindStringSubmatch(e.Output())
		if line == nil {
			e.t.Errorf("it does not say where %s is:\n%s", name, e.Output())
			continue
		}
		for n, want := range []string{`"status": "(ready|degraded)"`, "sluice_dependency_status"} {
			if text := rig.Get(e.t, line[1+n]); !regexp.MustCompile(want).MatchString(text) {
				e.t.Errorf("%s has no %s:\n%s", line[1+n], want, text)
			}
		}
	}
}

// showsTheConsole asks the address of the console, which it names first.
func (e *everything) showsTheConsole() {
	e.t.Helper()
	line := regexp.MustCompile(`(?m)^    console +(http://127\.0\.0\.1:\d+)$`).FindStringSubmatch(e.Output())
	if line == nil {
		e.t.Fatalf("it does not say where the console is:\n%s", e.Output())
	}
	if text := rig.Get(e.t, line[1]); !strings.Contains(text, "<h1>") {
		e.t.Errorf("the console has:\n%s", text)
	}
}

// leavesNothing waits until its addresses are free: whoever still holds one is a process left behind.
func (e *everything) leavesNothing() {
	e.t.Helper()
	for _, setting := range e.environment {
		name, address, _ := strings.Cut(setting, "=")
		if !slices.Contains([]string{"SLUICE_LISTEN", "SLUICE_ADMIN", "SLUICE_HUB_LISTEN"}, name) {
			continue
		}
		rig.Eventually(e.t, time.Minute, name+" is free", func() bool {
			l, err := net.Listen("tcp", address)
			if err != nil {
				return false
			}
			return l.Close() == nil
		})
	}
}

func TestWhoeverKillsItLeavesNothingBehind(t *testing.T) {
	e := runEverything(t)
	e.Kill()
	e.leavesNothing()
}

// An environment that is shared by all has one DATABASE_URL.
func TestTeamsMayShareADatabase(t *testing.T) {
	e := runEverything(t, "DATABASE_URL="+rig.StartPostgres(t).URL())
	output, code := e.ctl("send", "--all", "--url", e.url)
	if processed := strings.Count(output, "processed by"); code != 0 || processed != len(zorio.Names()) {
		t.Errorf("exit code %d, %d of %d processed:\n%s", code, processed, len(zorio.Names()), output)
	}
}

func TestTheSecretIsKeptForTheNextRun(t *testing.T) {
	t.Setenv("SLUICE_DATA", t.TempDir()+"/data")
	first, made, err := makeSecret()
	if err != nil || !made || len(first) != 32 {
		t.Fatalf("%d characters, made %v: %v", len(first), made, err)
	}
	if again, made, err := makeSecret(); again != first || made || err != nil {
		t.Errorf("another one: made %v: %v", made, err)
	}
	if found, err := findSecret(); found != first || err != nil {
		t.Errorf("not found: %v", err)
	}
}

func TestParseWord(t *testing.T) {
	for subject, want := range map[string]uint64{
		"$JS.ACK.EVENTS.pbx.1.42.7.1764000000000000000.0":                 42,
		"$JS.ACK.hub.ACCHASH.EVENTS.pbx.1.42.7.1764000000000000000.0.tok": 42,
		"$JS.ACK.DEAD.pbx.1.42.7.1764000000000000000.0":                   0,
		"$JS.ACK": 0,
	} {
		team, got, ok := parseWord(subject)
		if got != want || ok != (want != 0) || ok && team != "pbx" {
			t.Errorf("%s: %q %d %v", subject, team, got, ok)
		}
	}
}
