package rig

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"
)

// PoweredDisk is a disk that can lose its power. What was not synced is gone then: see tools/powercut. It is in memory.
type PoweredDisk struct {
	t        testing.TB
	Path     string // an empty folder on it; after [PoweredDisk.Restore], what has survived
	commands io.Writer
	answers  *bufio.Scanner
	when     string // of its cuts
	leads    func() // to such a moment
}

// StartDisk is such a disk, until the test ends. It needs FUSE: where there is none, the test is skipped, and `make test`
// says so.
func StartDisk(t testing.TB) *PoweredDisk {
	t.Helper()
	fuse, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("a disk that loses its power needs FUSE: %v", err)
	}
	_ = fuse.Close()
	at := t.TempDir()
	holder := exec.Command(Tool(t, "./powercut"), at)
	holder.SysProcAttr = ownMounts()
	var trouble Buffer
	holder.Stderr = &trouble
	commands, _ := holder.StdinPipe() // both are asked for once, before the start
	answers, _ := holder.StdoutPipe()
	if err := holder.Start(); err != nil {
		t.Fatalf("a disk that loses its power: %v: run the tests as root, or allow user namespaces", err)
	}
	t.Cleanup(func() {
		_ = holder.Process.Kill()
		_ = holder.Wait()
		if t.Failed() {
			t.Logf("output of powercut:\n%s", trouble.String())
		}
	})
	d := &PoweredDisk{t: t, Path: fmt.Sprintf("/proc/%d/root%s", holder.Process.Pid, at), commands: commands, answers: bufio.NewScanner(answers)}
	d.expect("mounted")
	return d
}

// Cut takes the power away: whoever uses the disk gets errors from now on, and all that was not synced is lost.
func (d *PoweredDisk) Cut() { d.t.Helper(); d.cut("cut" + d.when) }

// Tear is Cut, but some of what was not synced has reached the disk before, in pages, in any order. What, follows from
// the seed and from what was being written.
func (d *PoweredDisk) Tear(seed uint64) { d.t.Helper(); d.cut(fmt.Sprint("cut ", seed, d.when)) }

// When is the disk with cuts that wait until a file whose name matches a pattern of [path.Match] is written, created,
// renamed or removed: the power goes after that, and before it is synced. What leads to that is called once the cut
// waits; it may be nil.
func (d *PoweredDisk) When(pattern string, leads func()) *PoweredDisk {
	waiting := *d
	waiting.when, waiting.leads = " at "+pattern, leads
	return &waiting
}

func (d *PoweredDisk) cut(command string) {
	d.t.Helper()
	d.say(command)
	d.expect("waiting")
	if d.leads != nil {
		d.leads()
	}
	d.expect(command)
}

// Restore gives the power back, with what the disk holds. Who still has files of it open gets errors for ever.
func (d *PoweredDisk) Restore() { d.t.Helper(); d.say("restore"); d.expect("restore") }

func (d *PoweredDisk) say(command string) { _, _ = fmt.Fprintln(d.commands, command) } // without it no answer comes

// expect waits for an answer; a program that hangs is ended, and says so, before the test's own limit.
func (d *PoweredDisk) expect(answer string) {
	d.t.Helper()
	got := make(chan string, 1)
	go func() {
		d.answers.Scan()
		got <- d.answers.Text()
	}()
	select {
	case text := <-got:
		if text != answer {
			d.t.Fatalf("powercut answers %q, not %q: the output below says why", text, answer)
		}
	case <-time.After(time.Minute):
		d.t.Fatalf("powercut has not answered %q within a minute", answer)
	}
}
