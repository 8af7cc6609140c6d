package sluice

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/internal/rig"
)

// What can break a team's build is announced, or CI fails.
func TestABreakingChangeOfTheAPIMustBeAnnounced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(file, text string) {
		t.Helper()
		file = filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(name string, args ...string) (string, error) {
		c := exec.Command(name, args...)
		c.Dir = dir
		output, err := c.CombinedOutput()
		return string(output), err
	}
	git := func(args ...string) {
		t.Helper()
		if output, err := run("git", append([]string{"-c", "user.name=a", "-c", "user.email=a@example.com"}, args...)...); err != nil {
			t.Fatal(err, output)
		}
	}
	api := func(fails bool, want string) {
		t.Helper()
		output, err := run(filepath.Join(rig.Root(t), "tools", "api"))
		if (err != nil) != fails || !strings.Contains(output, want) {
			t.Errorf("%v, not %q:\n%s", err, want, output)
		}
	}

	write("go.mod", "module example.com/m\n\ngo 1.26\n")
	write("pkg/greet/greet.go", "package greet\n\nfunc Hello(name string) string { return name }\n")
	write("pkg/gone/gone.go", "package gone\n")
	write("CHANGELOG.md", "## Unreleased\n\n## 0.1.0\n\n### Changed\n\n- `pkg/greet`, `pkg/gone`\n")
	git("init", "-q")
	git("add", "-A")
	git("commit", "-qm", "first")
	api(false, "there is no tag yet")

	git("tag", "v0.1.0")
	write("pkg/greet/greet.go", "package greet\n\nfunc Hello(name string) string { return name }\n\nfunc Bye() {}\n")
	api(false, "comparing the API of pkg/ with v0.1.0\n")

	write("pkg/greet/greet.go", "package greet\n\nfunc Hello(name, title string) string { return title + name }\n")
	if err := os.RemoveAll(filepath.Join(dir, "pkg", "gone")); err != nil {
		t.Fatal(err)
	}
	api(true, "Hello: changed from func(string) string to func(string, string) string")
	api(true, "name pkg/gone pkg/greet in CHANGELOG.md")

	write("CHANGELOG.md", "## Unreleased\n\n### Changed\n\n- `pkg/greet`: a title. `pkg/gone` is gone.\n\n## 0.1.0\n")
	api(false, "the package is gone")
}
