package rig

import (
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Way is a way to a server that can be slow, refuse, or turn into a black hole from which nothing comes back. It is safe
// for concurrent use.
type Way struct {
	Address string
	t       testing.TB
	to      string
	black   atomic.Bool
	delay   atomic.Int64 // of each answer, in nanoseconds

	mu       sync.Mutex
	listener net.Listener
	conns    []net.Conn
	lost     map[net.Conn]string // what was sent into the black hole, by its connection to the server
}

// NewWay makes a way to an address, until the test ends. It is open.
func NewWay(t testing.TB, to string) *Way {
	t.Helper()
	w := &Way{t: t, to: to, Address: Address(t)}
	w.Open()
	t.Cleanup(w.Refuse)
	return w
}

// Open lets everything through. Connections from before end: something of them may be lost.
func (w *Way) Open() {
	w.t.Helper()
	w.Refuse()
	w.black.Store(false)
	w.delay.Store(0)
	l := w.listen()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go w.pass(conn)
		}
	}()
}

// Refuse ends all connections and refuses new ones.
func (w *Way) Refuse() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.listener != nil {
		_ = w.listener.Close()
	}
	for _, conn := range w.conns {
		_ = conn.Close()
	}
	w.conns, w.lost = nil, map[net.Conn]string{}
}

// Slow delays each answer by so much.
func (w *Way) Slow(by time.Duration) { w.delay.Store(int64(by)) }

// Swallow takes what is sent, on old and new connections, and lets nothing out.
func (w *Way) Swallow() { w.black.Store(true) }

// Fill swallows, and accepts no new connection: its queue is full, and the kernel drops who knocks.
func (w *Way) Fill() {
	w.t.Helper()
	w.Swallow()
	_ = w.listener.Close()
	raw, err := w.listen().(*net.TCPListener).SyscallConn()
	if err != nil {
		w.t.Fatal(err)
	}
	var shrunk error
	if err := raw.Control(func(fd uintptr) { shrunk = syscall.Listen(int(fd), 0) }); err != nil || shrunk != nil {
		w.t.Fatal(err, shrunk)
	}
	for range 16 {
		conn, err := net.DialTimeout("tcp", w.Address, 100*time.Millisecond)
		if err != nil {
			return
		}
		w.keep(conn)
	}
	w.t.Fatal("the queue of a listener does not fill")
}

// Swallowed counts the connections on which this text was sent into the black hole: one for each batch, because a
// connection that did not answer is not used again.
func (w *Way) Swallowed(text string) (count int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, sent := range w.lost {
		if strings.Contains(sent, text) {
			count++
		}
	}
	return count
}

func (w *Way) listen() net.Listener {
	w.t.Helper()
	l, err := net.Listen("tcp", w.Address)
	if err != nil {
		w.t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.listener = l
	return l
}

func (w *Way) pass(conn net.Conn) {
	server, err := net.Dial("tcp", w.to)
	if err != nil {
		_ = conn.Close()
		return
	}
	w.keep(conn, server)
	go w.copy(server, conn, 0)
	w.copy(conn, server, 1)
}

// copy ends both connections when one ends. Delayed is 1 for the way back, and 0 for the other.
func (w *Way) copy(to, from net.Conn, delayed time.Duration) {
	_, _ = io.Copy(mouth{w, to, delayed}, from)
	_ = to.Close()
	_ = from.Close()
}

// mouth is where bytes come out, unless the way is a black hole.
type mouth struct {
	w *Way
	net.Conn
	delayed time.Duration
}

func (m mouth) Write(p []byte) (int, error) {
	time.Sleep(m.delayed * time.Duration(m.w.delay.Load()))
	if !m.w.black.Load() {
		return m.Conn.Write(p)
	}
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	m.w.lost[m.Conn] += string(p)
	return len(p), nil
}

func (w *Way) keep(conns ...net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conns = append(w.conns, conns...)
}
