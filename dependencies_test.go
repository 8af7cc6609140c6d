package sluice

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
)

// compiled is a package as the compiler sees it.
type compiled struct {
	ImportPath string
	Imports    []string
	Module     *struct {
		Path     string
		Main     bool
		Indirect bool
	}
}

// everything is what is compiled for the programs and their tests.
func everything(t *testing.T, patterns ...string) map[string]compiled {
	t.Helper()
	list := exec.Command("go", append([]string{"list", "-deps", "-test", "-json=ImportPath,Imports,Module"}, patterns...)...)
	list.Dir = rig.Root(t)
	text, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]compiled{}
	for d := json.NewDecoder(strings.NewReader(string(text))); ; {
		var p compiled
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all[p.ImportPath] = p
	}
}

var dependency = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (.+) \\| (\\d*) \\| (\\d*) \\|$")

// Each dependency says why it is worth it, and what it weighs is what the compiler says.
func TestEveryDependencySaysWhatItIsWorthAndWeighs(t *testing.T) {
	t.Parallel()
	page := filepath.Join(rig.Root(t), "docs", "dependencies.md")
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	all := everything(t, "./...", "./internal/...", "./otel/...", "./pkg/...")
	direct := map[string][]string{} // of each module, the packages that ours import
	for _, p := range all {
		if p.Module == nil || !p.Module.Main {
			continue
		}
		for _, path := range p.Imports {
			if m := all[path].Module; m != nil && !m.Main && !slices.Contains(direct[m.Path], path) {
				direct[m.Path] = append(direct[m.Path], path)
			}
		}
	}
	told := map[string]bool{}
	for _, row := range dependency.FindAllStringSubmatch(string(text), -1) {
		module := row[1]
		told[module] = true
		modules, packages := weight(all, direct[module])
		if want := fmt.Sprintf("| %d | %d |", modules, packages); !strings.HasSuffix(row[0], want) {
			t.Errorf("%s: %s weighs %s", page, module, want)
		}
	}
	for module := range direct {
		if !told[module] {
			t.Errorf("%s does not say why %s is worth it", page, module)
		}
	}
	for module := range told {
		if direct[module] == nil {
			t.Errorf("%s: nothing imports %s any more", page, module)
		}
	}
}

// weight counts the modules and packages that are compiled because of some packages.
func weight(all map[string]compiled, begin []string) (modules, packages int) {
	seen, of := map[string]bool{}, map[string]bool{}
	for next := slices.Clone(begin); len(next) > 0; {
		path := next[len(next)-1]
		next = next[:len(next)-1]
		if m := all[path].Module; !seen[path] && m != nil {
			seen[path], of[m.Path] = true, true
			next = append(next, all[path].Imports...)
		}
	}
	return len(of), len(seen)
}

var cold = flag.Bool("cold", false, "build a team's consumer with an empty build cache, and say how long that takes")

const (
	most = 79              // modules that a team's consumer may know, itself included
	cost = 4 * time.Minute // of a processor that a cold build of it may cost, twice what two have in a minute: machines differ
)

// A team's consumer, in a module of its own, knows few modules and compiles no server, no Redis and no command line.
func TestATeamsModuleIsLight(t *testing.T) {
	t.Parallel()
	consumer := shownConsumer(t)
	modules := strings.Count(consumer.run(t, "list", "-m", "all"), "\n")
	t.Logf("a team's consumer knows %d modules", modules)
	if modules > most {
		t.Errorf("these are more than %d: what does pkg/go.mod or internal/go.mod require that a team can do without?", most)
	}
	for path := range strings.Lines(consumer.run(t, "list", "-deps", "github.com/sluicehq/sluice/pkg/...")) {
		for _, heavy := range []string{"nats-io/nats-server", "redis/go-redis", "spf13/cobra", "valyala/fasthttp", "minio/minio-go", "parquet-go"} {
			if strings.Contains(path, heavy) {
				t.Errorf("pkg compiles %s", path)
			}
		}
	}
	if *cold {
		begin, build := time.Now(), consumer.command("build", "-o", "consumer", ".")
		if output, err := build.CombinedOutput(); err != nil {
			t.Fatalf("go build: %v\n%s", err, output)
		}
		used := build.ProcessState.UserTime() + build.ProcessState.SystemTime()
		t.Logf("with an empty build cache it is built in %.0f s, with %.0f s of a processor", time.Since(begin).Seconds(), used.Seconds())
		if used > cost {
			t.Errorf("that is more than %s of a processor", cost)
		}
	}
}

// module is a folder with a module that is in no workspace.
type module struct{ dir string }

// run runs the go command in it, and returns what it prints.
func (m module) run(t *testing.T, args ...string) string {
	t.Helper()
	command := m.command(args...)
	var complaints strings.Builder
	command.Stderr = &complaints
	output, err := command.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s%s", strings.Join(args, " "), err, output, complaints.String())
	}
	return string(output)
}

func (m module) command(args ...string) *exec.Cmd {
	command := exec.Command("go", args...)
	command.Dir, command.Env = m.dir, append(os.Environ(), "GOWORK=off")
	if *cold {
		command.Env = append(command.Env, "GOFLAGS=", "GOCACHE="+filepath.Join(m.dir, "cache"))
	}
	return command
}

// shownConsumer is the consumer of the documentation and its test, in a module of its own, as a team would have it.
func shownConsumer(t *testing.T) module {
	t.Helper()
	root := rig.Root(t)
	checksums, err := os.ReadFile(filepath.Join(root, "pkg", "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	programs := program.FindAllStringSubmatch(rig.Pages(t)["docs/consumers.md"], -1)
	consumer := module{t.TempDir()}
	for name, text := range map[string]string{
		"main.go": programs[0][1], "main_test.go": programs[1][1], "go.sum": string(checksums),
		"go.mod": "module billing\n\ngo 1.26.0\n\n" +
			"replace github.com/sluicehq/sluice/pkg => " + root + "/pkg\nreplace github.com/sluicehq/sluice/internal => " + root + "/internal\n",
	} {
		if err := os.WriteFile(filepath.Join(consumer.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	consumer.run(t, "mod", "tidy")
	return consumer
}
