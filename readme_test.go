// Package sluice is the product's documentation; its test keeps the README true.
package sluice

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/internal/rig"
)

// binaries are those that the environment configures.
var binaries = []string{"./gateway", "./consumer/pbx", "./consumer/telesales", "./consumer/autocall", "./consumer/forward", "./consumer/archive"}

func TestMain(m *testing.M) { os.Exit(rig.Main(m)) }

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	shown      = regexp.MustCompile("(?s)```sh\n(.*?)```")
	program    = regexp.MustCompile("(?s)```go\n(.*?)```")
	setting    = regexp.MustCompile(`(?m)^  ([A-Z][A-Z_]+)`)
	testName   = regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9]+)`")
	settingRow = regexp.MustCompile("(?m)^\\| `([A-Z][A-Z_]+)` \\|")
	described  = regexp.MustCompile(`(?m)^  ([A-Z][A-Z_]+)(?: or [A-Z_]+)?(?: \((required)\))?(?: \(default (.*)\))?\n      (.*)$`)
	promise    = regexp.MustCompile("(?m)^\\| [^|]+ \\| (?:`(?:Test|Fuzz)[A-Za-z0-9]+`(?:, )?)+ \\|$")
	linkedFile = regexp.MustCompile(`\]\(([a-z][^):]*)\)`)
)

// What each command does is tested where it lives; here, that what is shown can be typed.
func TestEveryCommandShownWorks(t *testing.T) {
	for _, block := range shown.FindAllStringSubmatch(readme(t), -1) {
		for line := range strings.Lines(block[1]) {
			line = strings.TrimSpace(line)
			words := strings.Fields(line)
			for strings.Contains(words[0], "=") {
				words = words[1:]
			}
			var c *exec.Cmd
			switch words[0] {
			case "make":
				c = exec.Command("make", "-n", words[1])
			case "bin/sluicectl": // an address where nobody listens: it must fail there, and not on its arguments
				c = exec.Command(rig.Build(t, "./sluicectl"), append(words[1:], "--help")...)
			case "bin/gateway":
				rig.Build(t, "./gateway")
				c = exec.Command("sh", "-c", strings.Replace(line, "bin/gateway", rig.Build(t, "./gateway"), 1))
				c.Env = append(os.Environ(), "ZORIO_WEBHOOK_SECRET=0123456789abcdefghijABCDEFGHIJ01")
			default:
				t.Errorf("nobody tests %q", line)
				continue
			}
			if output, err := c.CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", line, err, output)
			}
		}
	}
}

// The tables say what --help says, and of nothing else.
func TestEverySettingIsInTheREADME(t *testing.T) {
	text := readme(t)
	known := map[string]bool{}
	for _, pkg := range binaries {
		output, err := exec.Command(rig.Build(t, pkg), "--help").Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range described.FindAllStringSubmatch(string(output), -1) {
			name, required, standard, help := s[1], s[2], s[3], s[4]
			if standard != "" {
				standard = "`" + standard + "`"
			}
			if row := fmt.Sprintf("| `%s` | %s%s | %s |", name, required, standard, help); !strings.Contains(text, row) {
				t.Errorf("the README does not have this row of %s: %s", pkg, row)
			}
			known[name] = true
		}
	}
	for _, row := range settingRow.FindAllStringSubmatch(text, -1) {
		if !known[row[1]] {
			t.Errorf("%s is in the README and is no setting", row[1])
		}
	}
}

// The consumer and the test of its handler, as they stand there.
func TestTheConsumerShownPassesItsTest(t *testing.T) {
	dir, err := os.MkdirTemp(".", "readme-consumer-")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	programs := program.FindAllStringSubmatch(readme(t), -1)
	for i, name := range []string{"main.go", "main_test.go"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(programs[i][1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, command := range [][]string{{"vet", "./" + dir}, {"test", "./" + dir}} {
		if output, err := exec.Command("go", command...).CombinedOutput(); err != nil {
			t.Errorf("go %s: %v\n%s", command[0], err, output)
		}
	}
}

func TestEveryTestAndFileNamedExists(t *testing.T) {
	text := readme(t)
	for _, name := range testName.FindAllStringSubmatch(text, -1) {
		if output, err := exec.Command("grep", "-rq", "--include=*_test.go", "func "+name[1]+"(", ".").CombinedOutput(); err != nil {
			t.Errorf("%s: no such test %s", name[1], output)
		}
	}
	for _, file := range linkedFile.FindAllStringSubmatch(text, -1) {
		if _, err := os.Stat(file[1]); err != nil {
			t.Error(err)
		}
	}
}

func TestEveryPromiseNamesItsTest(t *testing.T) {
	_, section, found := strings.Cut(readme(t), "| promise | test |\n|---|---|\n")
	table, _, ended := strings.Cut(section, "\n\n")
	if !found || !ended {
		t.Fatal("there is no table of promises")
	}
	for row := range strings.Lines(table) {
		if !promise.MatchString(strings.TrimSpace(row)) {
			t.Errorf("no test, or more than its name: %s", row)
		}
	}
}

// One environment may be shared by all: no binary takes another's setting for a slip of the keyboard.
func TestNoBinaryWarnsOfAnothersSettings(t *testing.T) {
	targets := filepath.Join(t.TempDir(), "targets.yaml")
	if err := os.WriteFile(targets, []byte("targets: [{name: crm, url: http://crm.internal, secret: 0123456789abcdef}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	own := map[string][]string{}
	for _, pkg := range binaries {
		output, err := exec.Command(rig.Build(t, pkg), "--help").Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range setting.FindAllStringSubmatch(string(output), -1) {
			own[pkg] = append(own[pkg], name[1])
		}
	}
	for _, pkg := range binaries {
		environment := rig.Environment("ZORIO_WEBHOOK_SECRET=0123456789abcdefghijABCDEFGHIJ01", "SLUICE_TARGETS="+targets)
		for _, other := range binaries {
			for _, name := range own[other] {
				if !slices.Contains(own[pkg], name) {
					environment = append(environment, name+"=1")
				}
			}
		}
		check := exec.Command(rig.Build(t, pkg), "--check")
		check.Env = environment
		if output, err := check.CombinedOutput(); err != nil || strings.Contains(string(output), "is no setting") {
			t.Errorf("%s: %v\n%s", pkg, err, output)
		}
	}
}
