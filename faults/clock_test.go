package faults

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
)

// clock is the wall clock of a gateway alone. Go asks the kernel for the time without the C library, and Linux has no
// namespace for the wall clock: the gateway is compiled with a time.Now that adds what a file says.
type clock struct{ file string }

const (
	now     = "	sec, nsec, mono := runtimeNow()\n"
	stepped = "	sec, nsec, mono := runtimeNow()\n	sec += stepped()\n"
	steps   = `package time

import (
	"syscall"
	"unsafe"
)

var step = func() *int64 {
	name, _ := syscall.Getenv("CLOCK_STEP_FILE")
	fd, err := syscall.Open(name, syscall.O_RDONLY, 0)
	if err != nil {
		return new(int64)
	}
	page, err := syscall.Mmap(fd, 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return new(int64)
	}
	return (*int64)(unsafe.Pointer(&page[0]))
}()

func stepped() int64 { return *step }
`
)

// newClock compiles a gateway with a clock of its own.
func newClock(t *testing.T) (c clock, gateway string) {
	t.Helper()
	dir := t.TempDir()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	original := filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go")
	text, err := os.ReadFile(original)
	if err != nil || strings.Count(string(text), now) != 1 {
		t.Fatalf("%s is not as expected: %v", original, err)
	}
	replaced, added, overlay := filepath.Join(dir, "time.go"), filepath.Join(dir, "step.go"), filepath.Join(dir, "overlay.json")
	list, _ := json.Marshal(map[string]any{"Replace": map[string]string{original: replaced, filepath.Join(filepath.Dir(original), "step.go"): added}})
	for file, text := range map[string]string{replaced: strings.Replace(string(text), now, stepped, 1), added: steps, overlay: string(list)} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c.file = filepath.Join(dir, "step")
	c.step(t, 0)
	return c, rig.BuildWith(t, "./gateway", "-overlay", overlay)
}

// step sets how far the clock is off.
func (c clock) step(t *testing.T, by time.Duration) {
	t.Helper()
	file, err := os.OpenFile(c.file, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := binary.Write(file, binary.NativeEndian, int64(by/time.Second)); err != nil {
		t.Fatal(err)
	}
}
