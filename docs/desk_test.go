// Package docs has the tests that type what the pages tell operators to type, against real servers under load.
package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
)

func TestMain(m *testing.M) { os.Exit(rig.Main(m)) }

// desk is where an operator types: a folder with the programs of Sluice in bin/, and nats, nats-server and redis-cli in
// the PATH.
type desk struct {
	t   *testing.T
	dir string
	env []string
	is  *strings.Replacer // the pages' addresses are others here
}

// newDesk is one with these settings, NAME=value, and with the pages' addresses replaced: old, new, old, new, …
func newDesk(t *testing.T, settings []string, replaced ...string) *desk {
	t.Helper()
	dir := t.TempDir()
	programs := filepath.Join(dir, "programs")
	if err := os.Mkdir(programs, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{"nats": rig.NatsCLI(t), "nats-server": rig.NatsServer(t)} {
		if err := os.Symlink(path, filepath.Join(programs, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Dir(rig.Build(t, "./sluicectl")), filepath.Join(dir, "bin")); err != nil {
		t.Fatal(err)
	}
	env := append(rig.Environment("XDG_CONFIG_HOME="+dir), settings...)
	env[0] = "PATH=" + programs + ":" + os.Getenv("PATH")
	return &desk{t, dir, env, strings.NewReplacer(replaced...)}
}

// types types a block as a page shows it, and returns what it prints.
func (d *desk) types(block string) string {
	d.t.Helper()
	output, err := d.try(block)
	if err != nil {
		d.t.Fatalf("%v\n%s\n%s", err, block, output)
	}
	d.t.Logf("%s\n%s", block, output)
	return output
}

// typesAgain types each line of a block until it succeeds: a cluster that is electing somebody answers nobody.
func (d *desk) typesAgain(block string) {
	d.t.Helper()
	for line := range strings.Lines(block) {
		rig.Eventually(d.t, time.Minute, line, func() bool {
			output, err := d.try(line)
			d.t.Logf("%s%v\n%s", line, err, output)
			return err == nil
		})
	}
}

func (d *desk) try(block string) (string, error) {
	command := exec.Command("sh", "-euc", d.is.Replace(block))
	command.Dir, command.Env = d.dir, d.env
	output, err := command.CombinedOutput()
	return string(output), err
}
