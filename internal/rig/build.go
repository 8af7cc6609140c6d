package rig

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Root is the folder of the module.
func Root(t testing.TB) string {
	t.Helper()
	gomod, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		t.Fatalf("go env GOMOD: %v", err)
	}
	return filepath.Dir(strings.TrimSpace(string(gomod)))
}

var built struct {
	sync.Mutex
	dir string
	all map[string]string
}

// Build compiles a program of this module, or a tool of its go.mod, once a run of tests, and returns its path. The
// race detector is in it when it is in the test.
func Build(t testing.TB, pkg string) string {
	t.Helper()
	if Race && strings.HasPrefix(pkg, "./") {
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
	built.Lock()
	defer built.Unlock()
	name := strings.Join(append(flags, pkg), " ")
	if path, done := built.all[name]; done {
		return path
	}
	if built.dir == "" {
		var err error
		if built.dir, err = os.MkdirTemp("", "sluice-bin-"); err != nil {
			t.Fatal(err)
		}
		built.all = map[string]string{}
	}
	path := filepath.Join(built.dir, fmt.Sprint(len(built.all)), filepath.Base(strings.TrimSuffix(pkg, "/v2")))
	build := exec.Command("go", slices.Concat([]string{"build", "-o", path}, flags, []string{pkg})...)
	build.Dir = dir
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", pkg, err, output)
	}
	built.all[name] = path
	return path
}

// NatsServer is the path of a nats-server of the version in go.mod.
func NatsServer(t testing.TB) string { return Build(t, "github.com/nats-io/nats-server/v2") }

// ManyAtOnce lets more tests run at once than there are processors: those that say t.Parallel wait, most of the time.
func ManyAtOnce() {
	if err := flag.Set("test.parallel", "16"); err != nil {
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
