package sluice

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
)

// clone copies what git would take along: the files of the working tree that are not ignored. One that was deleted and
// is not committed yet is passed over.
func clone(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	files := exec.Command(sh(t), "-c", `git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$0"`, dir)
	if output, err := files.CombinedOutput(); err != nil && !strings.Contains(string(output), "No such file") {
		t.Fatalf("%v\n%s", err, output)
	}
	return dir
}

// patiently follows an event for longer, on a busy machine.
const patiently = " --wait 60s"

// What a newcomer types: `make run` in a fresh clone, the command that it shows in another terminal, all test events that
// the pages send, Ctrl-C. Only the
// ports are others, and the Go modules come from this machine's cache.
func TestTheQuickStartFromAFreshClone(t *testing.T) {
	dir := clone(t)
	listen, hub, admin := rig.Address(t), rig.Address(t), rig.Address(t)
	cache, err := exec.Command("go", "env", "GOCACHE", "GOMODCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	where := strings.Fields(string(cache))
	environment := rig.Environment("SLUICE_LISTEN="+listen, "SLUICE_ADMIN="+admin, "SLUICE_HUB_LISTEN="+hub,
		"GOCACHE="+where[0], "GOMODCACHE="+where[1], "GOPROXY=off")
	run := rig.Start(t, sh(t), []string{"-c", "cd " + dir + " && exec make run"}, environment)
	t.Cleanup(func() {
		for _, pid := range processes(t, dir) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	run.WaitFor("Ctrl-C stops everything", 4*time.Minute) // without a warm build cache it builds for minutes
	run.WaitFor(`"team":"pbx"`, time.Minute)
	if !strings.Contains(run.Output(), "generated a webhook secret") {
		t.Errorf("it does not say that it generated a secret:\n%s", run.Output())
	}

	if !regexp.MustCompile(`(?s)^checking modules\nbuilding 6 programs\n.*starting the gateway`).MatchString(run.Output()) {
		t.Errorf("it does not say from the beginning what it does:\n%s", run.Output())
	}
	built, err := os.ReadDir(filepath.Join(dir, "bin"))
	if err != nil || len(built) != 6 {
		t.Errorf("it builds something else than what it runs: %v, %v", built, err)
	}

	version, err := exec.Command(filepath.Join(dir, "bin", "pbx"), "--version").Output()
	if err != nil || string(version) != "pbx dev\n" { // this copy is no git checkout; unstamped, Go would say (devel)
		t.Errorf("the version that make stamps is not that of the binary: %q, %v", version, err)
	}

	next := regexp.MustCompile(`(?m)^    (bin/sluicectl send .*)$`).FindStringSubmatch(run.Output())
	if next == nil {
		t.Fatalf("it does not say what to type:\n%s", run.Output())
	}
	typed := exec.Command(sh(t), "-c", next[1]+patiently)
	typed.Dir, typed.Env = dir, rig.Environment()
	output, err := typed.CombinedOutput()
	want := `answered 200 OK in [\d.]+ ms\n  stored as EVENTS #1 on events\.zorio\.pbx\.call\.hangup\n  processed by pbx in [\d.]+ ms\n$`
	if err != nil || !regexp.MustCompile(want).Match(output) {
		t.Errorf("%s: %v\n%s", next[1], err, output)
	}

	flags := map[string]string{"send": " --url http://" + listen + "/webhook --nats nats://" + hub + patiently, "ready": " --admin " + admin}
	for _, line := range commands(t) { // the others run where each can have a stage of its own
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "bin/sluicectl" || flags[words[1]] == "" || strings.Contains(line, "your.host") {
			continue
		}
		typed := exec.Command(sh(t), "-c", line+flags[words[1]])
		typed.Dir, typed.Env = dir, rig.Environment()
		if output, err := typed.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", line, err, output)
		}
	}

	if err := syscall.Kill(-run.PID(), syscall.SIGINT); err != nil { // as a terminal does: to everyone in the foreground
		t.Fatal(err)
	}
	if code := run.Wait(time.Minute); code > 0 { // make itself ends by the signal, which is no code
		t.Errorf("exit code %d", code)
	}
	if strings.Contains(run.Output(), "***") || strings.Contains(run.Output(), "killed") {
		t.Errorf("it did not stop cleanly:\n%s", run.Output())
	}
	if left := processes(t, dir); len(left) > 0 {
		t.Errorf("left running: %v", left)
	}
}

// What is wrong with the code has to be seen among what the build says of itself.
func TestABuildThatFailsShowsTheCompilersWordsAlone(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module example.com/broken\n\ngo 1.26.0\n", "main.go": "package main\n\nfunc main() { missing() }\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	script, err := filepath.Abs("tools/build")
	if err != nil {
		t.Fatal(err)
	}
	build := exec.Command(script, "1 program", "go", "build", "-v", "-o", dir, "./...")
	build.Dir = dir
	output, err := build.CombinedOutput()
	want := "checking modules\nbuilding 1 program\n# example.com/broken\n./main.go:3:15: undefined: missing\n"
	if build.ProcessState.ExitCode() != 1 || string(output) != want {
		t.Errorf("%v\n%s\nwant\n%s", err, output, want)
	}
}

// processes are those whose program lies in a folder.
func processes(t *testing.T, dir string) (pids []int) {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if program, err := os.Readlink(link); err == nil && strings.HasPrefix(program, dir+"/") {
			pid, _ := strconv.Atoi(strings.Split(link, "/")[2])
			pids = append(pids, pid)
		}
	}
	return pids
}

func sh(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	return path
}
