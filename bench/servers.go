package main

import (
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// bench is everything that was started.
type bench struct {
	dir      string
	started  []*exec.Cmd
	subjects []*subject
	spilling *spilling
}

// build compiles what is measured.
func (b *bench) build() error {
	for _, pkg := range []string{"./gateway", "github.com/nats-io/nats-server/v2"} {
		if output, err := exec.Command("go", "build", "-o", b.dir+"/", pkg).CombinedOutput(); err != nil {
			return fmt.Errorf("go build %s: %w\n%s", pkg, err, output)
		}
	}
	return nil
}

func (b *bench) start() error {
	for _, s := range []struct{ role, name string }{{"static", "fasthttp, static answer"}, {"blind", "net/http: HMAC, one log line"}, {"plain", "plain net/http: HMAC, JSON, one log line"}} {
		address := free()
		c, err := b.run(address, nil, os.Args[0], s.role, address)
		if err != nil {
			return err
		}
		b.measured(s.name, address, c)
	}
	for _, s := range []struct{ name, sync string }{{"Sluice, Redis, NATS with default sync", ""}, {"Sluice, Redis, NATS with sync always", "sync_interval: always"}} {
		if _, err := b.gateway(s.name, s.sync); err != nil {
			return err
		}
	}
	alone, err := b.embedded()
	if err != nil {
		return err
	}
	b.subjects = append(b.subjects, alone)
	if err := b.spills(); err != nil {
		return err
	}
	time.Sleep(warmUp) // a gateway listens before it is ready; its first deliveries wait
	return nil
}

// gateway starts a gateway with a Redis and a NATS of its own, and returns how that NATS is started.
func (b *bench) gateway(name, sync string, settings ...string) (*hub, error) {
	redis, nats, address := free(), free(), free()
	_, port, _ := net.SplitHostPort(redis)
	dir, err := os.MkdirTemp(b.dir, "")
	if err != nil {
		return nil, err
	}
	h := &hub{address: nats, config: filepath.Join(dir, "nats.conf")}
	if err := os.WriteFile(h.config, fmt.Appendf(nil, "listen: %q\nmax_payload: 2MB\njetstream { store_dir: %q\n%s\n}\n", nats, dir, sync), 0o600); err != nil {
		return nil, err
	}
	r, err := b.run(redis, nil, "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", dir)
	if err != nil {
		return nil, fmt.Errorf("%w: `make deps` installs it", err)
	}
	if err := b.startHub(h); err != nil {
		return nil, err
	}
	h.admin = free()
	settings = append(append(gatewaySettings(address, h.admin, dir), "REDIS_URL=redis://"+redis, "NATS_URL=nats://"+nats), settings...)
	g, err := b.run(address, settings, filepath.Join(b.dir, "gateway"))
	if err != nil {
		return nil, err
	}
	b.measured(name, address, g, r, h.process)
	return h, nil
}

// hub is a NATS beside a gateway.
type hub struct {
	address, config, admin string // the admin address is the gateway's
	process                *exec.Cmd
}

func (b *bench) startHub(h *hub) (err error) {
	h.process, err = b.run(h.address, nil, filepath.Join(b.dir, "nats-server"), "-c", h.config)
	return err
}

func gatewaySettings(address, admin, dir string) []string {
	return []string{
		"ZORIO_WEBHOOK_SECRET=" + secret, "SLUICE_LISTEN=" + address, "SLUICE_ADMIN=" + admin, "SLUICE_LOG=error", "SLUICE_DATA=" + filepath.Join(dir, "data"),
		"SLUICE_MAX_COPIES=0", // the load signs one body a connection
	}
}

// embedded starts what needs nothing beside it: NATS inside, synced, behind the journal.
func (b *bench) embedded(settings ...string) (*subject, error) {
	dir, err := os.MkdirTemp(b.dir, "")
	if err != nil {
		return nil, err
	}
	address, admin, hub := free(), free(), free()
	settings = append(append(gatewaySettings(address, admin, dir), "SLUICE_HUB_LISTEN="+hub), settings...)
	g, err := b.run(address, settings, filepath.Join(b.dir, "gateway"))
	if err != nil {
		return nil, err
	}
	s := newSubject("Sluice alone: embedded NATS, all synced", address, g)
	s.admin, s.hub = admin, []string{"NATS_URL=nats://" + hub, "NATS_CREDS=" + filepath.Join(dir, "data", "nats", "users", "operator.nk")}
	return s, nil
}

// measured makes a subject of what answers at an address and of the servers behind it.
func (b *bench) measured(name, address string, processes ...*exec.Cmd) {
	b.subjects = append(b.subjects, newSubject(name, address, processes...))
}

func newSubject(name, address string, processes ...*exec.Cmd) *subject {
	s := &subject{name: name, address: address, rounds: map[int][]round{}}
	for _, c := range processes {
		s.pids = append(s.pids, c.Process.Pid)
	}
	return s
}

// run starts a program and waits until its address takes connections.
func (b *bench) run(address string, environment []string, program string, args ...string) (*exec.Cmd, error) {
	output, err := os.CreateTemp(b.dir, "output-")
	if err != nil {
		return nil, err
	}
	defer output.Close()
	c := exec.Command(program, args...)
	c.Env = append(os.Environ(), environment...)
	c.Stdout, c.Stderr = output, output
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.Start(); err != nil {
		return nil, err
	}
	b.started = append(b.started, c)
	for range 1000 {
		if conn, err := net.Dial("tcp", address); err == nil {
			return c, conn.Close()
		}
		time.Sleep(10 * time.Millisecond)
	}
	text, _ := os.ReadFile(output.Name())
	return nil, fmt.Errorf("%s does not listen on %s:\n%s", program, address, text)
}

func (b *bench) stop() {
	for _, c := range slices.Backward(b.started) {
		_ = c.Process.Kill()
		_ = c.Wait()
	}
}

// cpuTime is what a process has used, in user and in kernel; /proc counts in hundredths of a second.
func cpuTime(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text)[strings.LastIndexByte(string(text), ')')+1:])
	user, _ := strconv.Atoi(fields[11])
	kernel, _ := strconv.Atoi(fields[12])
	return time.Duration(user+kernel) * 10 * time.Millisecond
}

func free() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
