package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// How much comes before it is looked how much memory a process has.
const (
	memoryEvents = 1_000_000
	memoryIdle   = 20_000
	memoryLooks  = 20 // at a consumer, with half a second between
)

// memory prints what the gateway has in memory after many events, and with many connections that do nothing, and what a
// consumer has while all of these events wait for it.
func (b *bench) memory() error {
	alone, err := b.embedded("SLUICE_MAX_CONNECTIONS=32768")
	if err != nil {
		return err
	}
	time.Sleep(warmUp)
	fresh := resident(alone.pids[0])
	stored := int64(0)
	for stored < memoryEvents {
		n, err := load(alone.address, 512, window)
		if err != nil {
			return err
		}
		stored += n
	}
	loaded := resident(alone.pids[0])
	if err := alone.drained(); err != nil {
		return err
	}
	fmt.Printf("\nResident memory\nthe gateway with its NATS, started: %.0f MB; with 512 connections, %d events later: %.0f MB\n", fresh, stored, loaded)
	if err := b.idle(alone); err != nil {
		return err
	}
	return b.backlog(alone, stored)
}

// idle opens connections on which nothing comes. One address has too few ports for all.
func (b *bench) idle(s *subject) error {
	time.Sleep(2 * quiet)
	before := resident(s.pids[0])
	var conns []net.Conn
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	for i := range memoryIdle {
		from := &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i/10_000))}
		conn, err := (&net.Dialer{LocalAddr: from}).Dial("tcp", s.address)
		if err != nil {
			return fmt.Errorf("connection %d: %w: raise the limit of open files (ulimit -n)", i, err)
		}
		conns = append(conns, conn)
	}
	fmt.Printf("a while after the load: %.0f MB; and with %d idle connections: %.0f MB\n", before, memoryIdle, resident(s.pids[0]))
	return nil
}

const quiet = 4 * time.Second // after so long without garbage the gateway gives memory back

// backlog starts a consumer for which all of it waits.
func (b *bench) backlog(s *subject, waiting int64) error {
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
	fmt.Printf("a consumer for which %d events wait, with its SQLite: at most %.0f MB\n", waiting, most)
	return nil
}

// resident is a process's memory, in megabytes of 1,000,000 bytes.
func resident(pid int) float64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, after, _ := strings.Cut(string(text), "VmRSS:")
	kilobytes, _ := strconv.ParseFloat(strings.Fields(after + " 0")[0], 64)
	return kilobytes * 1024 / 1e6
}
