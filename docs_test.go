// Package sluice is the product's documentation; its tests keep the README, CONTRIBUTING and docs/ true.
package sluice

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/internal/rig"
)

var update = flag.Bool("update", false, "write the tables of docs/ that are made from the code")

// binaries are those that the environment configures.
var binaries = []string{"./gateway", "./consumer/pbx", "./consumer/telesales", "./consumer/autocall", "./consumer/forward", "./consumer/archive", "./console"}

func TestMain(m *testing.M) { os.Exit(rig.Main(m)) }

var (
	shownInline = regexp.MustCompile("`(bin/sluicectl [^`]+)`")
	program     = regexp.MustCompile("(?s)```go\n(.*?)```")
	setting     = regexp.MustCompile(`(?m)^  ([A-Z][A-Z_]+)`)
	ours        = regexp.MustCompile(`\bSLUICE_[A-Z_]+`)
	metric      = regexp.MustCompile(`\bsluice_[a-z_]+`)
	testName    = regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9]+)`")
	testFunc    = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Za-z0-9]+)\(`)
	promise     = regexp.MustCompile("^\\| [^|]+ \\| (?:`(?:Test|Fuzz)[A-Za-z0-9]+`(?:, )?)+ \\|$")
	link        = regexp.MustCompile(`\]\(([^):]*)\)`)
	namedFile   = regexp.MustCompile("[` ]\\.?/?((?:pkg|internal|gateway|consumer|sluicectl|bench|deploy|docs|tools)/[a-z0-9_./]*[a-z])[` ]")
)

// commands are the lines shown to be typed, each once, without those that say where they run.
func commands(t *testing.T) (lines []string) {
	t.Helper()
	for _, text := range rig.Pages(t) {
		for _, block := range rig.Blocks(text) {
			if block.RunsIn == "" && block.Needs == "" {
				lines = append(lines, strings.Split(block.Text, "\n")...)
			}
		}
		for _, line := range shownInline.FindAllStringSubmatch(text, -1) {
			lines = append(lines, line[1])
		}
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}

// What each command does is tested where it lives; here, that what is shown can be typed.
func TestEveryCommandShownWorks(t *testing.T) {
	for _, line := range commands(t) {
		words := strings.Fields(line)
		for strings.Contains(words[0], "=") {
			words = words[1:]
		}
		var c *exec.Cmd
		switch words[0] {
		case "make":
			c = exec.Command("make", "-n", words[1])
		case "go": // what it builds or tests is there
			c = exec.Command("go", append([]string{"list"}, slices.DeleteFunc(words, func(w string) bool { return !strings.HasPrefix(w, "./") })...)...)
		case "bin/sluicectl": // its help instead: only the arguments count
			c = exec.Command(rig.Build(t, "./sluicectl"), append(words[1:], "--help")...)
		case "bin/gateway":
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

// absent is what commands may need that the machines of the tests do not have, or must not touch.
var absent = []string{"docker", "kubectl", "helm", "root", "systemd", "a domain of yours", "Zorio"}

// A command that runs in another test is typed by it as it is shown. One that no test can type says what it needs.
func TestEveryCommandShownIsTypedSomewhere(t *testing.T) {
	typists := map[string]bool{}
	for _, text := range sources(t, "_test.go") {
		for _, function := range strings.Split(text, "\nfunc ") {
			if name, _, _ := strings.Cut(function, "("); strings.Contains(function, "rig.Shown(") {
				typists[name] = true
			}
		}
	}
	for file, text := range rig.Pages(t) {
		for _, b := range rig.Blocks(text) {
			if b.RunsIn != "" && !typists[b.RunsIn] {
				t.Errorf("%s: %s does not type what is shown (rig.Shown):\n%s", file, b.RunsIn, b.Text)
			}
			if b.Needs != "" && !slices.Contains(absent, b.Needs) {
				t.Errorf("%s: `needs %s` is not one of %q:\n%s", file, b.Needs, absent, b.Text)
			}
		}
		for _, language := range regexp.MustCompile("(?m)^```(\\w+)$").FindAllStringSubmatch(text, -1) {
			if !slices.Contains([]string{"sh", "go", "json", "yaml", "sql", "nginx", "caddy", "ini", "conf"}, language[1]) {
				t.Errorf("%s: commands are shown as ```sh and not as ```%s", file, language[1])
			}
		}
	}
}

// What the code knows is written by it: the settings of every binary, and all metrics.
func TestTablesAreMadeFromTheCode(t *testing.T) {
	for file, text := range rig.Pages(t) {
		want := made.ReplaceAllStringFunc(text, func(block string) string {
			what, _, _ := strings.Cut(strings.TrimPrefix(block, "<!-- "), " -->")
			return "<!-- " + what + " -->\n\n" + table(t, what)
		})
		if *update {
			if err := os.WriteFile(file, []byte(want), 0o600); err != nil {
				t.Fatal(err)
			}
		} else if want != text {
			t.Errorf("%s is not what the code says: run `make docs`", file)
		}
	}
}

// A binary knows the others' settings from a list that the code writes too.
func TestEveryBinaryKnowsTheOthersSettings(t *testing.T) {
	var names []string
	for _, pkg := range binaries {
		for _, name := range setting.FindAllStringSubmatch(help(t, pkg), -1) {
			if strings.HasPrefix(name[1], "SLUICE_") {
				names = append(names, name[1])
			}
		}
	}
	slices.Sort(names)
	want, file := strings.Join(slices.Compact(names), "\n")+"\n", filepath.Join(rig.Root(t), "pkg", "settings", "names.txt")
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	} else if have, err := os.ReadFile(file); err != nil || string(have) != want {
		t.Errorf("%s is not what the code says (%v): run `make docs`", file, err)
	}
}

func TestEverySettingAndMetricNamedExists(t *testing.T) {
	pages := rig.Pages(t)
	known := map[string]bool{}
	for _, pkg := range binaries {
		if name := filepath.Base(pkg); !regexp.MustCompile(`<!-- settings of [a-z, ]*\b` + name + `\b`).MatchString(pages["docs/settings.md"]) {
			t.Errorf("docs/settings.md has no table of %s", name)
		}
		for _, s := range described.FindAllStringSubmatch(help(t, pkg), -1) {
			known[s[1]], known[s[2]] = true, true
		}
	}
	for _, m := range metrics(t) {
		known[m.name] = true
	}
	for _, name := range ours.FindAllString(sources(t, ".yml")["docker-compose.yml"], -1) {
		known[name] = true // those of the file itself, from .env, among them
	}
	for file, text := range sources(t, ".go") {
		for _, literal := range regexp.MustCompile(`"(sluice_[a-z_]+)"`).FindAllStringSubmatch(text, -1) {
			if metricsOf(file) != "" && !strings.HasSuffix(file, "_test.go") && !known[literal[1]] {
				t.Errorf("%s: %s is declared in a way that tables_test.go does not understand", file, literal[1])
			}
		}
	}
	for file, text := range pages {
		for _, name := range append(ours.FindAllString(text, -1), metric.FindAllString(text, -1)...) {
			if !known[name] {
				t.Errorf("%s: there is no %s", file, name)
			}
		}
	}
}

// What Prometheus and Grafana look at.
func TestAlertsAndDashboardNameMetricsThatExist(t *testing.T) {
	known := map[string]bool{}
	for _, m := range metrics(t) {
		known[m.name] = true
	}
	for _, file := range []string{"deploy/prometheus/alerts.yml", "deploy/grafana/dashboards/sluice.json"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range metric.FindAllString(string(text), -1) {
			if !known[strings.TrimSuffix(name, "_bucket")] {
				t.Errorf("%s: there is no %s", file, name)
			}
		}
	}
}

// Whoever is woken finds a section for the alert, with three commands, and each section is one of an alert.
func TestEachAlertHasASectionInTheRunbook(t *testing.T) {
	text, err := os.ReadFile("deploy/prometheus/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	page := rig.Pages(t)["docs/runbook.md"]
	sections := map[string]string{}
	for _, section := range strings.Split(page, "\n## ")[1:] {
		name, rest, _ := strings.Cut(section, "\n")
		sections[name] = rest
	}
	for _, rule := range strings.Split(string(text), "- alert: ")[1:] {
		name, rest, _ := strings.Cut(rule, "\n")
		if commands := rig.Blocks(sections[name]); len(commands) != 1 || strings.Count(commands[0].Text, "\n") != 2 || !strings.Contains(sections[name], "\nDo not ") {
			t.Errorf("docs/runbook.md has no section %q with three commands and what not to do", name)
		}
		severity := regexp.MustCompile(`severity: (\w+)`).FindStringSubmatch(rest)[1]
		if !strings.HasPrefix(strings.TrimSpace(strings.ToLower(sections[name])), "*"+severity+".*") {
			t.Errorf("docs/runbook.md: %s is of severity %s", name, severity)
		}
		if !strings.Contains(rest, "runbook_url: https://github.com/sluicehq/sluice/blob/main/docs/runbook.md#"+strings.ToLower(name)+"\n") {
			t.Errorf("%s does not lead to its section", name)
		}
		delete(sections, name)
	}
	for name := range sections {
		t.Errorf("docs/runbook.md has a section %q, and there is no such alert", name)
	}
}

// The consumer and the test of its handler, as they stand there.
func TestTheConsumerShownPassesItsTest(t *testing.T) {
	t.Parallel()
	consumer := shownConsumer(t)
	consumer.run(t, "vet", ".")
	consumer.run(t, "test", ".")
}

func TestEveryTestNamedExists(t *testing.T) {
	tests := map[string]bool{}
	for _, text := range sources(t, "_test.go") {
		for _, name := range testFunc.FindAllStringSubmatch(text, -1) {
			tests[name[1]] = true
		}
	}
	for file, text := range rig.Pages(t) {
		for _, name := range testName.FindAllStringSubmatch(text, -1) {
			if !tests[name[1]] {
				t.Errorf("%s: there is no test %s", file, name[1])
			}
		}
	}
}

func TestEveryFileAndHeadingNamedExists(t *testing.T) {
	pages := rig.Pages(t)
	for file, text := range pages {
		for _, to := range link.FindAllStringSubmatch(program.ReplaceAllString(text, ""), -1) { // Go has brackets of its own
			target, anchor, _ := strings.Cut(to[1], "#")
			target = filepath.Join(filepath.Dir(file), target)
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %v", file, err)
			}
			if anchor != "" && !slices.Contains(anchors(pages[target]), anchor) {
				t.Errorf("%s: %s has no heading #%s", file, target, anchor)
			}
		}
		for _, to := range namedFile.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(to[1]); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
}

// anchors are what a page's headings are called in links.
func anchors(page string) (all []string) {
	for line := range strings.Lines(page) {
		if heading, is := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); is && strings.HasPrefix(line, "#") {
			kept := regexp.MustCompile(`[^a-z0-9 _-]`).ReplaceAllString(strings.ToLower(strings.TrimSpace(heading)), "")
			all = append(all, strings.ReplaceAll(kept, " ", "-"))
		}
	}
	return all
}

// Every page is one that a reader of the README, or of the CONTRIBUTING it links to, finds.
func TestTheREADMELeadsToEveryPage(t *testing.T) {
	pages := rig.Pages(t)
	for file := range pages {
		if file != "README.md" && !strings.Contains(pages["README.md"]+pages["CONTRIBUTING.md"], "]("+file+")") {
			t.Errorf("neither the README nor CONTRIBUTING links to %s", file)
		}
	}
	if lines := strings.Count(pages["README.md"], "\n"); lines > 100 {
		t.Errorf("the README has %d lines: it is a screen and a half, and docs/ has room", lines)
	}
}

func TestEveryPromiseNamesItsTest(t *testing.T) {
	rows := 0
	for line := range strings.Lines(rig.Pages(t)["docs/promises.md"]) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") || line == "| promise | test |" || line == "|---|---|" {
			continue
		}
		if rows++; !promise.MatchString(line) {
			t.Errorf("no test, or more than its name: %s", line)
		}
	}
	if rows == 0 {
		t.Error("there is no table of promises")
	}
}

// What somebody may try is tried by a test, or the page says that nothing holds it.
func TestEveryThreatNamesItsTest(t *testing.T) {
	_, table, _ := strings.Cut(rig.Pages(t)["docs/secure.md"], "\n## Who can do what\n")
	table, _, _ = strings.Cut(table, "\n## ")
	rows := 0
	for line := range strings.Lines(table) {
		columns := strings.Split(line, "|")
		if len(columns) != 6 || strings.HasPrefix(line, "| who | tries ") || strings.HasPrefix(line, "|---") {
			continue
		}
		if rows++; !testName.MatchString(columns[4]) && !strings.Contains(columns[3], "nothing") {
			t.Errorf("no test tries it: %s", line)
		}
	}
	if rows < 10 {
		t.Errorf("only %d rows", rows)
	}
}

// Where the pages call a fault a test, it is a row of the table.
func TestEveryFaultNamedIsMeasured(t *testing.T) {
	pages := rig.Pages(t)
	_, upgrading, _ := strings.Cut(pages["docs/operate.md"], "\n## Stopping and upgrading\n")
	upgrading, _, _ = strings.Cut(upgrading, "\n## ")
	named := regexp.MustCompile(`\*([^*]+)\*`).FindAllStringSubmatch(upgrading, -1)
	for _, fault := range named {
		if !regexp.MustCompile(`(?m)^\| ` + regexp.QuoteMeta(fault[1]) + `(, [0-9]+s)? \|.* yes \|$`).MatchString(pages["docs/faults.md"]) {
			t.Errorf("docs/faults.md has no row that held: %s", fault[1])
		}
	}
	if len(named) == 0 {
		t.Error("no fault is named")
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
		for _, name := range setting.FindAllStringSubmatch(help(t, pkg), -1) {
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

// sources are the files of this module whose names end so, by path.
func sources(t *testing.T, suffix string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := fs.WalkDir(os.DirFS("."), ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(file, suffix) {
			return err
		}
		text, err := os.ReadFile(file)
		all[file] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// What a team would do first with a package of pkg/ is shown in its documentation, and runs.
func TestEveryPackageForTeamsHasAnExample(t *testing.T) {
	has := map[string]bool{}
	for file, text := range sources(t, ".go") {
		if strings.HasPrefix(file, "pkg/") {
			folder := path.Dir(file)
			has[folder] = has[folder] || strings.HasSuffix(file, "_test.go") && strings.Contains(text, "\nfunc Example")
		}
	}
	for folder, example := range has {
		if !example {
			t.Errorf("%s has no Example", folder)
		}
	}
	if len(has) < 10 {
		t.Errorf("only %d packages", len(has))
	}
}

func help(t *testing.T, pkg string) string {
	t.Helper()
	output, err := exec.Command(rig.Build(t, pkg), "--help").Output()
	if err != nil {
		t.Fatal(fmt.Errorf("%s --help: %w", pkg, err))
	}
	return string(output)
}
