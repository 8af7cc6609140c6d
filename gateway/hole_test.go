package main

import (
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
)

// hole is a way to a server that can turn into one from which nothing comes back.
type hole struct {
	t       testing.TB
	to      string
	address string
	black   atomic.Bool

	mu       sync.Mutex
	listener net.Listener
	conns    []net.Conn
	lost     map[net.Conn]string // what was sent into it, by its connection to the server
}

// digHole makes a way to an address. It is open.
func digHole(t testing.TB, to string) *hole {
	t.Helper()
	h := &hole{t: t, to: to, address: rig.Address(t)}
	h.open()
	t.Cleanup(h.shut)
	return h
}

// open lets everything through. Connections from before end: something of them is lost.
func (h *hole) open() {
	h.t.Helper()
	h.shut()
	h.black.Store(false)
	l := h.listen()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			h.pass(conn)
		}
	}()
}

// swallow takes what is sent, on old and new connections, and lets nothing out.
func (h *hole) swallow() { h.black.Store(true) }

// fill swallows, and accepts no new connection: its queue is full, and the kernel drops who knocks.
func (h *hole) fill() {
	h.t.Helper()
	h.swallow()
	_ = h.listener.Close()
	raw, err := h.listen().(*net.TCPListener).SyscallConn()
	if err != nil {
		h.t.Fatal(err)
	}
	var shrunk error
	if err := raw.Control(func(fd uintptr) { shrunk = syscall.Listen(int(fd), 0) }); err != nil || shrunk != nil {
		h.t.Fatal(err, shrunk)
	}
	for range 16 {
		conn, err := net.DialTimeout("tcp", h.address, 100*time.Millisecond)
		if err != nil {
			return
		}
		h.keep(conn)
	}
	h.t.Fatal("the queue of a listener does not fill")
}

func (h *hole) listen() net.Listener {
	h.t.Helper()
	l, err := net.Listen("tcp", h.address)
	if err != nil {
		h.t.Fatal(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.listener = l
	return l
}

func (h *hole) pass(conn net.Conn) {
	server, err := net.Dial("tcp", h.to)
	if err != nil {
		_ = conn.Close()
		return
	}
	h.keep(conn, server)
	go func() { _, _ = io.Copy(mouth{h, server}, conn) }()
	go func() { _, _ = io.Copy(mouth{h, conn}, server) }()
}

// mouth is where bytes come out, unless the hole is black.
type mouth struct {
	h *hole
	net.Conn
}

func (m mouth) Write(p []byte) (int, error) {
	if !m.h.black.Load() {
		return m.Conn.Write(p)
	}
	m.h.mu.Lock()
	defer m.h.mu.Unlock()
	m.h.lost[m.Conn] += string(p)
	return len(p), nil
}

// swallowed counts the connections on which this text was sent into it: one for each batch, because a connection that
// did not answer is not used again.
func (h *hole) swallowed(text string) (count int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, sent := range h.lost {
		if strings.Contains(sent, text) {
			count++
		}
	}
	return count
}

func (h *hole) keep(conns ...net.Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.conns = append(h.conns, conns...)
}

func (h *hole) shut() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.listener != nil {
		_ = h.listener.Close()
	}
	for _, conn := range h.conns {
		_ = conn.Close()
	}
	h.conns, h.lost = nil, map[net.Conn]string{}
}
