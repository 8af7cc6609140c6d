package main

import (
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
)

// A listener that leaves a shared port gets no connection more, but keeps those it has: none of them is reset when it is
// closed.
func TestLeavingASharedPortResetsNoConnection(t *testing.T) {
	t.Parallel()
	address := rig.Address(t)
	share := func() *listener {
		l, err := listen(&Settings{Listen: address, ReusePort: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		return l
	}
	leaves, stays := share(), share()
	const each = 32
	var connected atomic.Int32
	answers := make(chan error, 2*each)
	connect := func() {
		for range each {
			go func() { answers <- readByte(address, &connected) }()
		}
	}
	connect()
	rig.Eventually(t, 20*time.Second, "all are connected", func() bool { return connected.Load() == each })
	if serveUntilQuiet(leaves) == 0 {
		t.Fatal("it has none of them")
	}
	if err := leaves.leave(); err != nil {
		t.Fatal(err)
	}
	connect()
	if more := serveUntilQuiet(leaves); more != 0 {
		t.Errorf("%d connections came after it has left", more)
	}
	_ = leaves.Close()
	go func() {
		for serveUntilQuiet(stays) >= 0 {
		}
	}()
	for range cap(answers) {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
}

// readByte connects, and reads what everybody is sent.
func readByte(address string, connected *atomic.Int32) error {
	conn, err := net.DialTimeout("tcp", address, 20*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	connected.Add(1)
	_, err = conn.Read(make([]byte, 1))
	return err
}

// serveUntilQuiet sends a byte to each connection until none comes any more, and returns how many came; -1 once the listener
// is closed.
func serveUntilQuiet(l *listener) (n int) {
	for ; ; n++ {
		if err := l.Listener.(*net.TCPListener).SetDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
			return -1
		}
		conn, err := l.Accept()
		if err != nil {
			return n
		}
		_, _ = conn.Write([]byte{0})
		_ = conn.Close()
	}
}
