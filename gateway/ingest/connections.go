package ingest

import (
	"bufio"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// Listener bounds how many of a listener's connections are open: one more is answered and closed at once. fasthttp has
// such bounds too, but refuses in words of its own, without a Retry-After, and counts for nobody.
func (p *Path) Listener(l net.Listener, limits Limits) net.Listener {
	return &bounded{Listener: l, path: p, limits: limits, from: map[netip.Addr]int{}}
}

type bounded struct {
	net.Listener
	path   *Path
	limits Limits

	mu   sync.Mutex
	open int
	from map[netip.Addr]int
}

// Accept implements [net.Listener].
func (b *bounded) Accept() (net.Conn, error) {
	for {
		conn, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		peer := peerOf(conn)
		refusal := b.enter(peer)
		if refusal == nil {
			return &connection{Conn: conn, leave: func() { b.leave(peer) }}, nil
		}
		b.path.metrics.requests[refusal].Inc()
		refusal.sayAndClose(conn)
	}
}

// enter counts a connection, or says why it is one too many.
func (b *bounded) enter(peer netip.Addr) *answer {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.open >= b.limits.Connections:
		return b.path.refuse(b.path.answers.crowded, "more connections than SLUICE_MAX_CONNECTIONS")
	case b.limits.ConnectionsPerIP > 0 && b.from[peer] >= b.limits.ConnectionsPerIP:
		return b.path.refuse(b.path.answers.crowdedByOne, "more connections from one address than SLUICE_MAX_CONNECTIONS_PER_IP")
	}
	b.open++
	b.from[peer]++
	return nil
}

func (b *bounded) leave(peer netip.Addr) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open--
	if b.from[peer]--; b.from[peer] == 0 {
		delete(b.from, peer) // or the map would keep every address that ever came
	}
}

// peerOf is the address a connection comes from; the zero one where there is none, as on a unix socket.
func peerOf(conn net.Conn) netip.Addr {
	tcp, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr().Unmap()
}

// connection is one that counts until it is closed.
type connection struct {
	net.Conn
	leave   func()
	lingers atomic.Bool
	closing sync.Once
}

// lingerTime bounds how long a client may go on sending what nobody wants.
const lingerTime = 500 * time.Millisecond

// linger makes Close wait until the client has read the last answer and stops sending: a connection that is closed with
// something unread in it is reset, and takes the answer with it.
func linger(conn net.Conn) {
	if c, ours := conn.(*connection); ours {
		c.lingers.Store(true)
	}
}

// Close implements [net.Conn].
func (c *connection) Close() (err error) {
	c.closing.Do(func() {
		defer c.leave()
		half, can := c.Conn.(interface{ CloseWrite() error })
		if c.lingers.Load() && can && half.CloseWrite() == nil && c.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
			_, _ = io.Copy(io.Discard, c.Conn) // until the client is done, or the time is up
		}
		err = c.Conn.Close()
	})
	return err
}

// refusalTimeout bounds the write of a refusal; what is so short fits into the kernel's buffer.
const refusalTimeout = 100 * time.Millisecond

// sayAndClose answers a connection from which no request was read.
func (a *answer) sayAndClose(conn net.Conn) {
	defer conn.Close()
	var said fasthttp.Response
	a.fill(&said)
	said.SetConnectionClose()
	_ = conn.SetWriteDeadline(time.Now().Add(refusalTimeout)) // fails on a connection that is gone
	w := bufio.NewWriter(conn)
	if said.Write(w) == nil {
		_ = w.Flush()
	}
}
