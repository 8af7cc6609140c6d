package main

import (
	"net"
	"syscall"
	"testing"
	"time"
)

// deaf is how long a stopping gateway refuses connections before its process ends and another could take its place.
func (g *gateway) deaf(t *testing.T) time.Duration {
	t.Helper()
	g.Signal(syscall.SIGTERM)
	last := time.Now()
	for g.Running() {
		if conn, err := net.DialTimeout("tcp", g.address, 100*time.Millisecond); err == nil {
			last = time.Now()
			_ = conn.Close()
		}
	}
	return time.Since(last)
}

// A stop refuses nobody for longer than it has to: a sender notices no more of it than of a process that is killed.
func TestAStopTakesConnectionsUntilItsEnd(t *testing.T) {
	g := startGateway(t)
	g.from("127.0.0.1") // one that says nothing
	const often = 20    // a busy machine may hold up any stop, but not each
	for n := range often {
		l := g.load()
		l.more(t, 50)
		took := g.deaf(t)
		close(l.stop)
		t.Logf("deaf for %s", took)
		g.Start()
		g.ready()
		l.senders.Wait()
		if took <= 80*time.Millisecond {
			return
		}
		if n == often-1 {
			t.Errorf("a stopping gateway refuses connections for %s before it ends", took)
		}
	}
}
