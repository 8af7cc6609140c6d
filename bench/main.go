// The bench measures, in one run and on the same machine, how many deliveries a second the gateway takes beside two
// others: fasthttp that answers without looking, which is the floor, and a plain net/http receiver that verifies the
// HMAC and logs, which is what people write first. Every number that matters is a ratio to the plain receiver: the
// machine's own speed is in all of them.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/valyala/fasthttp"

	"github.com/sluicehq/sluice/pkg/telemetry"
	"github.com/sluicehq/sluice/pkg/zorio"
)

const (
	secret = "0123456789abcdefghijABCDEFGHIJ01"
	rounds = 3 // the median counts; servers take turns, so that a slow moment hits all alike
	warmUp = 500 * time.Millisecond
	window = 3 * time.Second
)

var connections = []int{64, 512}

// subject is a server that is measured.
type subject struct {
	name    string
	address string
	process *os.Process
	rates   map[int][]float64 // connections → deliveries a second, one a round
	cpu     map[int][]float64 // … and microseconds of its own CPU a delivery
}

func main() {
	if len(os.Args) == 3 {
		serveAs(os.Args[1], os.Args[2])
		return
	}
	if err := measure(telemetry.StopContext()); err != nil {
		log.Fatal(err)
	}
}

func measure(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "sluice-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b := &bench{dir: dir}
	defer b.stop()
	if err := b.start(); err != nil {
		return err
	}
	for round := range rounds {
		for _, conns := range connections {
			for _, s := range b.subjects {
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := s.round(conns); err != nil {
					return fmt.Errorf("%s: %w", s.name, err)
				}
				fmt.Fprintf(os.Stderr, "round %d of %d, %d connections, %s\n", round+1, rounds, conns, s.name)
			}
		}
	}
	b.report()
	return nil
}

// round measures one server once.
func (s *subject) round(conns int) error {
	if _, err := load(s.address, conns, warmUp); err != nil {
		return err
	}
	before := cpuTime(s.process.Pid)
	count, err := load(s.address, conns, window)
	if err != nil {
		return err
	}
	s.rates[conns] = append(s.rates[conns], float64(count)/window.Seconds())
	s.cpu[conns] = append(s.cpu[conns], float64((cpuTime(s.process.Pid)-before).Microseconds())/float64(count))
	return nil
}

// load keeps so many connections busy for a while and counts the deliveries that are answered 200 OK.
func load(address string, conns int, d time.Duration) (int64, error) {
	var count, failed atomic.Int64
	var all sync.WaitGroup
	end := time.Now().Add(d)
	client := &fasthttp.HostClient{Addr: address, MaxConns: conns, ReadTimeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	for range conns {
		all.Go(func() {
			request, response := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
			body := fmt.Appendf(nil, `{"event":"pbx.call.hangup","timestamp":"2026-11-23T03:30:48Z","data":{"call_uuid":%q,"filler":%q}}`, uuid.NewString(), strings.Repeat("x", 360))
			request.SetRequestURI("http://" + address + "/webhook")
			request.Header.SetMethod(fasthttp.MethodPost)
			for key, values := range zorio.Headers(secret, "pbx.call.hangup", "", time.Now(), body) {
				request.Header.Set(key, values[0])
			}
			request.SetBody(body)
			prefix := uuid.NewString()
			for n := 0; time.Now().Before(end); n++ {
				request.Header.Set(zorio.HeaderDelivery, prefix+"-"+strconv.Itoa(n))
				if err := client.Do(request, response); err != nil || string(response.Body()) != "OK" {
					failed.Add(1)
					continue
				}
				count.Add(1)
			}
		})
	}
	all.Wait()
	if failed.Load() > 0 {
		return 0, fmt.Errorf("%d of %d deliveries were not answered OK", failed.Load(), failed.Load()+count.Load())
	}
	return count.Load(), nil
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

func (b *bench) report() {
	plain := b.subjects[1]
	for _, conns := range connections {
		fmt.Printf("\n%d connections, bodies of 512 bytes\n%-46s %12s %8s %14s\n", conns, "", "deliveries/s", "ratio", "CPU/delivery")
		for _, s := range b.subjects {
			rate := median(s.rates[conns])
			fmt.Printf("%-46s %12.0f %8.2f %11.1f µs\n", s.name, rate, rate/median(plain.rates[conns]), median(s.cpu[conns]))
		}
	}
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// bench is everything that was started.
type bench struct {
	dir      string
	started  []*exec.Cmd
	subjects []*subject
}

func (b *bench) start() error {
	for _, pkg := range []string{"./gateway", "github.com/nats-io/nats-server/v2"} {
		if output, err := exec.Command("go", "build", "-o", b.dir+"/", pkg).CombinedOutput(); err != nil {
			return fmt.Errorf("go build %s: %w\n%s", pkg, err, output)
		}
	}
	for _, s := range []struct{ role, name string }{{"static", "fasthttp, static answer"}, {"plain", "plain net/http: HMAC, one log line"}} {
		address := free()
		if err := b.subject(s.name, address, nil, os.Args[0], s.role, address); err != nil {
			return err
		}
	}
	for _, s := range []struct{ name, sync string }{{"Sluice, Redis, NATS with default sync", ""}, {"Sluice, Redis, NATS with sync always", "sync_interval: always"}} {
		if err := b.gateway(s.name, s.sync); err != nil {
			return err
		}
	}
	return nil
}

// gateway starts a gateway with a Redis and a NATS of its own.
func (b *bench) gateway(name, sync string) error {
	redis, nats, address, admin := free(), free(), free(), free()
	_, port, _ := net.SplitHostPort(redis)
	dir, err := os.MkdirTemp(b.dir, "")
	if err != nil {
		return err
	}
	config := filepath.Join(dir, "nats.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, "listen: %q\nmax_payload: 2MB\njetstream { store_dir: %q\n%s\n}\n", nats, dir, sync), 0o600); err != nil {
		return err
	}
	if _, err := b.run(redis, nil, "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", dir); err != nil {
		return fmt.Errorf("%w: `make deps` installs it", err)
	}
	if _, err := b.run(nats, nil, filepath.Join(b.dir, "nats-server"), "-c", config); err != nil {
		return err
	}
	return b.subject(name, address, []string{
		"ZORIO_WEBHOOK_SECRET=" + secret, "REDIS_URL=redis://" + redis, "NATS_URL=nats://" + nats,
		"SLUICE_LISTEN=" + address, "SLUICE_ADMIN=" + admin, "SLUICE_LOG=error",
	}, filepath.Join(b.dir, "gateway"))
}

func (b *bench) subject(name, address string, environment []string, program string, args ...string) error {
	c, err := b.run(address, environment, program, args...)
	if err != nil {
		return err
	}
	time.Sleep(warmUp) // the gateway listens before it is ready; its first deliveries wait
	b.subjects = append(b.subjects, &subject{name: name, address: address, process: c.Process, rates: map[int][]float64{}, cpu: map[int][]float64{}})
	return nil
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

func free() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
