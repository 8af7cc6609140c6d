package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// How much comes before it is looked how much memory a process has.
const (
	memoryEvents = 1_000_000
	memoryIdle   = 20_000
	memoryLooks  = 20 // at a consumer, with half a second between
)

// memory prints what the gateway has in memory after many events, and with many connections that do nothing, with and
// without a Redis and a NATS beside it, and what a consumer has while all of these events wait for it.
func (b *bench) memory() error {
	const limit = "SLUICE_MAX_CONNECTIONS=32768"
	if _, err := b.gateway("the gateway, Redis and NATS beside it", "", limit); err != nil {
		return err
	}
	alone, err := b.embedded(limit)
	if err != nil {
		return err
	}
	b.subjects = append(b.subjects, alone)
	time.Sleep(warmUp)
	fmt.Println("\nResident memory")
	for _, s := range b.subjects {
		if err := b.grown(s); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return b.backlog(alone)
}

// grown is one gateway's.
func (b *bench) grown(s *subject) error {
	fresh, stored := resident(s.pids[0]), int64(0)
	for stored < memoryEvents {
		n, err := load(s.address, 512, window)
		if err != nil {
			return err
		}
		stored += n
	}
	loaded := resident(s.pids[0])
	if err := s.drained(); err != nil {
		return err
	}
	time.Sleep(2 * quiet)
	after := resident(s.pids[0])
	conns, err := idle(s.address)
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	fmt.Printf("%-42s started: %.0f MB; with 512 connections, %d events later: %.0f MB; %s after the load: %.0f MB; with %d idle connections: %.0f MB\n",
		s.name, fresh, stored, loaded, 2*quiet, after, len(conns), resident(s.pids[0]))
	return err
}

// idle opens connections on which nothing comes, as many as this process may have files. One address has too few ports for
// all.
func idle(address string) (conns []net.Conn, err error) {
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		return nil, err
	}
	for i := range min(memoryIdle, int(files.Cur)-200) {
		from := &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i/5000))}
		conn, err := (&net.Dialer{LocalAddr: from}).Dial("tcp", address)
		if err != nil {
			return conns, fmt.Errorf("connection %d: %w", i, err)
		}
		conns = append(conns, conn)
	}
	return conns, nil
}

const quiet = 4 * time.Second // after so long without garbage the gateway gives memory back

// backlog starts a consumer for which all of it waits.
func (b *bench) backlog(s *subject) error {
	if output, err := exec.Command("go", "build", "-o", b.dir+"/", "./consumer/pbx").CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, output)
	}
	admin := free()
	c, err := b.run(admin, append(s.hub, "SLUICE_ADMIN="+admin, "SLUICE_LOG=error", "SLUICE_DATA="+filepath.Join(b.dir, "pbx-data")), filepath.Join(b.dir, "pbx"))
	if err != nil {
		return err
	}
	most := 0.0
	for range memoryLooks {
		time.Sleep(500 * time.Millisecond)
		most = max(most, resident(c.Process.Pid))
	}
	fmt.Printf("a consumer for which all of that waits, with its SQLite: at most %.0f MB\n", most)
	return nil
}

// resident is a process's memory, in megabytes of 1,000,000 bytes.
func resident(pid int) float64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, after, _ := strings.Cut(string(text), "VmRSS:")
	kilobytes, _ := strconv.ParseFloat(strings.Fields(after + " 0")[0], 64)
	return kilobytes * 1024 / 1e6
}
