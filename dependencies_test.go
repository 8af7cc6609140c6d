package sluice

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

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
	all := everything(t, "./...")
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

// What a team imports compiles no server, no Redis and no command line.
func TestATeamsConsumerIsLight(t *testing.T) {
	t.Parallel()
	list := exec.Command("go", "list", "-deps", "./pkg/...")
	list.Dir = rig.Root(t)
	paths, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	for path := range strings.Lines(string(paths)) {
		for _, heavy := range []string{"nats-io/nats-server", "redis/go-redis", "spf13/cobra", "valyala/fasthttp", "minio/minio-go", "parquet-go"} {
			if strings.Contains(path, heavy) {
				t.Errorf("pkg compiles %s", path)
			}
		}
	}
}
