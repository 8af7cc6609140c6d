package rig

import (
	"flag"
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// begun is where the tests of a package begin: in its folder. Some go elsewhere.
var begun, _ = os.Getwd()

// Root is the folder with the go.work of all modules.
func Root(t testing.TB) string {
	t.Helper()
	for dir := begun; dir != "/" && dir != ""; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return dir
		}
	}
	t.Fatalf("there is no go.work above %q", begun)
	return ""
}

var built struct {
	sync.Mutex
	dir string
	all map[string]string
}

// Build compiles a program of the root module once a run of tests, and returns its path. The race detector is in it when
// it is in the test.
func Build(t testing.TB, pkg string) string {
	t.Helper()
	if Race {
		return build(t, Root(t), pkg, "-race")
	}
	return build(t, Root(t), pkg)
}

// BuildWith is [Build] with flags of the compiler.
func BuildWith(t testing.TB, pkg string, flags ...string) string {
	t.Helper()
	return build(t, Root(t), pkg, flags...)
}

// Tool compiles a program that only tests need, of a version in tools/go.mod, once a run of tests, and returns its path.
func Tool(t testing.TB, pkg string) string {
	t.Helper()
	return build(t, filepath.Join(Root(t), "tools"), pkg)
}

func build(t testing.TB, dir, pkg string, flags ...string) string {
	t.Helper()
	return once(t, strings.Join(append(flags, pkg), " "), func() string {
		if built.dir == "" {
			var err error
			if built.dir, err = os.MkdirTemp("", "sluice-bin-"); err != nil {
				t.Fatal(err)
			}
		}
		// Those of the same flags are beside each other, as sluicectl looks for the others.
		folder := filepath.Join(built.dir, fmt.Sprintf("%x", crc32.ChecksumIEEE([]byte(strings.Join(flags, " ")))))
		path := filepath.Join(folder, filepath.Base(pkg))
		if os.MkdirAll(folder, 0o700) != nil || os.Link(linked(t, dir, pkg, flags), path) != nil {
			goCommand(t, dir, slices.Concat([]string{"build", "-o", path}, flags, []string{pkg})...)
		}
		return path
	})
}

// linked is where Go keeps a program among what it has built: it is linked once for the tests of all packages. It may be
// empty, or the name of nothing.
func linked(t testing.TB, dir, pkg string, flags []string) (path string) {
	t.Helper()
	for range 2 { // what is linked just now lies elsewhere, for a moment
		path = goCommand(t, dir, slices.Concat([]string{"run", "-exec", "echo"}, flags, []string{pkg})...)
		if _, err := os.Stat(path); err == nil {
			break
		}
	}
	return path
}

// NatsServer is the path of a nats-server of the version in go.mod. It is linked once for all tests: Go keeps the tools of
// a go.mod in its build cache.
func NatsServer(t testing.TB) string {
	t.Helper()
	const tool = "github.com/nats-io/nats-server/v2"
	return once(t, tool, func() string { return goCommand(t, Root(t), "tool", "-n", tool) })
}

// Caddy is the path of a caddy of the version in tools/caddy/go.mod, linked once for all tests as [NatsServer] is.
func Caddy(t testing.TB) string {
	t.Helper()
	const tool = "github.com/caddyserver/caddy/v2/cmd/caddy"
	return once(t, tool, func() string { return goCommand(t, filepath.Join(Root(t), "tools", "caddy"), "tool", "-n", tool) })
}

// NatsCLI is the path of `nats`, with which operators look after a NATS. It is linked once for all tests too.
func NatsCLI(t testing.TB) string {
	t.Helper()
	const tool = "github.com/nats-io/natscli/nats"
	return once(t, tool, func() string { return goCommand(t, filepath.Join(Root(t), "tools"), "tool", "-n", tool) })
}

// once is the path of a program, which find is asked for once a run of tests.
func once(t testing.TB, program string, find func() string) string {
	t.Helper()
	built.Lock()
	defer built.Unlock()
	path, done := built.all[program]
	if !done {
		path = find()
		if built.all == nil {
			built.all = map[string]string{}
		}
		built.all[program] = path
	}
	return path
}

// goCommand runs the go command in a folder, and returns what it prints.
func goCommand(t testing.TB, dir string, args ...string) string {
	t.Helper()
	command := exec.Command("go", args...)
	command.Dir = dir
	var errors strings.Builder
	command.Stderr = &errors
	output, err := command.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, errors.String())
	}
	return strings.TrimSpace(string(output))
}

// ManyAtOnce lets more tests run at once than there are processors: those that say t.Parallel wait, most of the time. With
// the race detector they compute for longer.
func ManyAtOnce() {
	many := "16"
	if Race {
		many = "6"
	}
	if err := flag.Set("test.parallel", many); err != nil {
		panic(err) // package testing has that flag
	}
}

// Main runs a package's tests, [ManyAtOnce], and removes what was built for them.
func Main(m *testing.M) int {
	ManyAtOnce()
	code := m.Run()
	_ = os.RemoveAll(built.dir)
	return code
}
