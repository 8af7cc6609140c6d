// Package rig starts real servers and real binaries for tests, as processes that can be killed, stopped and started
// again. What it starts listens on loopback and ends with the test. A server that is not installed fails the test and
// names the remedy: nothing is skipped.
package rig

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Process is a program that runs. Its methods fail the test when they cannot do what they say. It is safe for concurrent
// use.
type Process struct {
	t    testing.TB
	name string
	path string
	args []string
	env  []string
	user *syscall.Credential
	open []*os.File // given to it as file descriptors from 3 on

	output Buffer
	mu     sync.Mutex
	now    *run
}

// run is one of the times that it runs.
type run struct {
	cmd   *exec.Cmd
	ended chan struct{}
	exit  error // once it has ended
}

func (p *Process) current() *run {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

// Start runs a program with these arguments and exactly this environment, until the test ends.
func Start(t testing.TB, path string, args, env []string) *Process {
	t.Helper()
	p := &Process{t: t, name: path[strings.LastIndexByte(path, '/')+1:], path: path, args: args, env: env}
	p.Start()
	t.Cleanup(p.cleanup)
	return p
}

// StartActivated is [Start] for a program that takes over a listening socket, as systemd starts the service of a socket
// unit. The socket stays the caller's, through all runs.
func StartActivated(t testing.TB, socket *os.File, path string, env []string) *Process {
	t.Helper()
	become := `LISTEN_PID=$$ LISTEN_FDS=1 exec "$0"` // only the process itself knows its id
	p := &Process{t: t, name: path[strings.LastIndexByte(path, '/')+1:], path: "/bin/sh", args: []string{"-c", become, path}, env: env, open: []*os.File{socket}}
	p.Start()
	t.Cleanup(p.cleanup)
	return p
}

// Start runs it again, with what it was given first.
func (p *Process) Start() {
	p.t.Helper()
	cmd := exec.Command(p.path, p.args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = p.env, &p.output, &p.output
	cmd.SysProcAttr, cmd.ExtraFiles = &syscall.SysProcAttr{Setpgid: true, Credential: p.user}, p.open
	if err := cmd.Start(); err != nil {
		p.t.Fatalf("start %s: %v", p.name, err)
	}
	r := &run{cmd: cmd, ended: make(chan struct{})}
	p.mu.Lock()
	p.now = r
	p.mu.Unlock()
	go func() {
		r.exit = cmd.Wait()
		close(r.ended)
	}()
}

// Signal sends a signal to it: SIGSTOP makes it hang with its connections open, SIGCONT lets it go on.
func (p *Process) Signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.current().cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("%s: %v: %v", p.name, s, err)
	}
	if s == syscall.SIGSTOP { // a thread on another processor runs on for a moment
		Eventually(p.t, time.Minute, p.name+" stands still", func() bool { return p.standsStill() })
	}
}

func (p *Process) standsStill() bool {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.PID()))
	for _, thread := range threads {
		stat, _ := os.ReadFile(thread)
		if _, after, _ := strings.Cut(string(stat), ") "); after != "" && after[0] != 'T' {
			return false
		}
	}
	return true
}

// Kill ends it with SIGKILL and waits for its end.
func (p *Process) Kill() {
	p.t.Helper()
	p.Signal(syscall.SIGKILL)
	<-p.current().ended
}

// Stop asks it to end with SIGTERM, waits, and returns its exit code.
func (p *Process) Stop(within time.Duration) int {
	p.t.Helper()
	p.Signal(syscall.SIGTERM)
	return p.Wait(within)
}

// Wait waits for its end and returns its exit code.
func (p *Process) Wait(within time.Duration) int {
	p.t.Helper()
	r := p.current()
	select {
	case <-r.ended:
		return r.cmd.ProcessState.ExitCode()
	case <-time.After(within):
		p.t.Fatalf("%s has not ended within %s; its output:\n%s", p.name, within, p.Output())
		return -1
	}
}

// Running reports whether it has not ended.
func (p *Process) Running() bool {
	select {
	case <-p.current().ended:
		return false
	default:
		return true
	}
}

// PID is its process id.
func (p *Process) PID() int { return p.current().cmd.Process.Pid }

// Output is what it wrote so far, in all its runs.
func (p *Process) Output() string { return p.output.String() }

// WaitFor waits until its output contains a text.
func (p *Process) WaitFor(text string, within time.Duration) {
	p.t.Helper()
	Eventually(p.t, within, "the output of "+p.name+" contains "+text, func() bool {
		return strings.Contains(p.Output(), text) || !p.Running()
	})
	if !strings.Contains(p.Output(), text) {
		p.t.Fatalf("%s has ended without %q; its output:\n%s", p.name, text, p.Output())
	}
}

func (p *Process) cleanup() {
	if p.Running() {
		_ = p.current().cmd.Process.Signal(syscall.SIGCONT)
		_ = syscall.Kill(-p.PID(), syscall.SIGKILL)
		<-p.current().ended
	}
	if p.t.Failed() {
		p.t.Logf("output of %s:\n%s", p.name, tail(p.Output(), 8<<10))
	}
}

func tail(text string, size int) string { return text[max(0, len(text)-size):] }

// Eventually polls until a condition holds: often at first, and less so when that takes longer. Looking costs a processor
// that others wait for.
func Eventually(t testing.TB, within time.Duration, what string, holds func() bool) {
	t.Helper()
	const seldom = 25 * time.Millisecond
	pause := 2 * time.Millisecond
	for deadline := time.Now().Add(within); !holds(); pause = min(pause*5/4, seldom) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", within, what)
		}
		time.Sleep(pause)
	}
}

// Ports of [Address]: below those that kernels give to outgoing connections, one of which could sit on the port of a
// server that is being restarted.
const (
	firstPort = 10_000
	ports     = 20_000
)

// Address returns an address on loopback that is the test's own until it ends: nobody listens on it, and no other test,
// of whatever process, is given it. The UDP port of the same number is what says so to all of them.
func Address(t testing.TB) string {
	t.Helper()
	for range 100 {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(firstPort+rand.IntN(ports)))
		claim, err := net.ListenPacket("udp", address)
		if err != nil {
			continue
		}
		if l, err := net.Listen("tcp", address); err == nil {
			_ = l.Close()
			t.Cleanup(func() { _ = claim.Close() })
			return address
		}
		_ = claim.Close()
	}
	t.Fatal("no free port on loopback")
	return ""
}

// Network returns the addresses of a network on loopback, 1 to 254, that is the test's own until it ends, with all ports:
// no other test, of whatever process, is given it.
func Network(t testing.TB) (host func(n int) string) {
	t.Helper()
	for range 100 {
		network := fmt.Sprintf("127.%d.%d.", 1+rand.IntN(250), rand.IntN(250))
		claim, err := net.ListenPacket("udp", network+"1:"+strconv.Itoa(firstPort))
		if err != nil {
			continue
		}
		t.Cleanup(func() { _ = claim.Close() })
		return func(n int) string { return network + strconv.Itoa(n) }
	}
	t.Fatal("no free network on loopback")
	return nil
}

// Listening waits until an address takes connections.
func (p *Process) Listening(address string) {
	p.t.Helper()
	Eventually(p.t, time.Minute, p.name+" listens on "+address, func() bool {
		if !p.Running() {
			p.t.Fatalf("%s has ended: %v; its output:\n%s", p.name, p.current().exit, p.Output())
		}
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return false
		}
		_ = conn.Close()
		return true
	})
}

// Find is the path of a program that the distribution has.
func Find(t testing.TB, program string) string {
	t.Helper()
	return find(t, program)
}

// find is the path of a server's program.
func find(t testing.TB, program string, places ...string) string {
	t.Helper()
	for _, candidate := range append([]string{program}, places...) {
		if path, err := exec.LookPath(candidate); err == nil {
			return path
		}
	}
	t.Fatalf("%s is not installed: `make deps` installs it", program)
	return ""
}

// Environment is a minimal environment with these settings, NAME=value.
func Environment(settings ...string) []string {
	return append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "GOCOVERDIR=" + os.Getenv("GOCOVERDIR"),
		"GORACE=atexit_sleep_ms=0"}, withCredentials(settings)...)
}

// Buffer collects what is written to it. It is safe for concurrent use.
type Buffer struct {
	mu  sync.Mutex
	all bytes.Buffer
}

// Write implements [io.Writer].
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.Write(p)
}

// String is all that was written.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.String()
}
