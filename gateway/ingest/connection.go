package ingest

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// connection gives the HTTP server the heads of requests and nothing else. Bodies are read by the path, when it wants
// them, and by one reader only, so that no two can disagree about where a body ends.
type connection struct {
	net.Conn
	wire   net.Conn // what it came on: the same, unless it is encrypted
	gate   *gate
	from   *peer
	all    *room // what the bodies of all connections may take together
	places *bounded

	proxied    bool           // it comes from a trusted proxy, whose requests are others'
	introduces bool           // the proxy says first whose it is
	source     netip.AddrPort // as the proxy said
	by         *peer          // whom the request in flight counts for: from, or who sent it through a proxy
	sender     netip.Addr     // of the latter

	passed  bool // the gate, with the first bytes
	head    headEnd
	fault   error   // once what was sent is not HTTP
	unread  bool    // a head was given out, and the body that follows it was not read
	rest    *[]byte // read, and not given out; nil where there is nothing
	taken   int     // bytes of rest that are the body of the request in flight
	counted int     // bytes that count towards the limit

	waits   atomic.Int64 // since when it waits for a whole request, in nanoseconds since 1970; or one of those below
	lingers atomic.Bool
	closing sync.Once
}

// What connection.waits is beside a time.
const (
	busy = 0
	shut = -1 // its place was given to another one
)

// headRead is how much is read at once of what may be a head. It bounds what comes with one of its body.
const headRead = 4 << 10

// Read gives out the bytes of a head, up to its end.
func (c *connection) Read(p []byte) (n int, err error) {
	switch {
	case c.fault != nil:
		return 0, c.fault
	case c.unread: // what comes next is no head
		return 0, io.EOF
	case !c.awaits():
		return 0, io.EOF
	case c.rest != nil:
		n = copy(p, *c.rest)
	case !c.passed:
		if n, err = c.gate.pass(c, p[:min(len(p), headRead)]); n == 0 {
			return 0, err
		}
	default:
		if n, err = c.Conn.Read(p[:min(len(p), headRead)]); n == 0 {
			return 0, err
		}
	}
	used, ended, fault := c.head.scan(p[:n])
	c.unread = ended
	if c.fault = fault; fault != nil {
		return used, nil // the server takes what it has for a head's beginning, and then hears of the fault
	}
	if c.rest != nil {
		c.taken = used
		c.drop()
	} else if used < n {
		c.rest = newBuffer(n - used)
		*c.rest = append(*c.rest, p[used:n]...)
	}
	return used, nil
}

// awaits lets it be known that it waits for a request, and reports false when its place was given away.
func (c *connection) awaits() bool {
	return c.waits.Load() > 0 || c.waits.CompareAndSwap(busy, time.Now().UnixNano())
}

// arrived ends the wait for a request, and reports false when its place was given away meanwhile.
func (c *connection) arrived() bool {
	since := c.waits.Load()
	return since != shut && c.waits.CompareAndSwap(since, busy)
}

func (c *connection) buffered() int {
	if c.rest == nil {
		return 0
	}
	return len(*c.rest)
}

// leastIdle is how long a connection waits before its place may be given to any other: one that was just opened is about
// to be used.
const leastIdle = time.Second

// waitsFor is how long it has waited for a request to be complete: one that trickles in takes a place like none at all.
func (c *connection) waitsFor(now time.Time) time.Duration {
	if since := c.waits.Load(); since > 0 {
		return time.Duration(now.UnixNano() - since)
	}
	return 0
}

// endIdle ends a connection that has waited for long for a whole request, and reports false for one that has not.
func (c *connection) endIdle(now time.Time) bool {
	since := c.waits.Load()
	return now.UnixNano()-since >= int64(leastIdle) && c.endWait(since)
}

// endWait ends a connection that has waited for a whole request since then, and reports false for one that does not any
// more.
func (c *connection) endWait(since int64) bool {
	if since <= 0 || !c.waits.CompareAndSwap(since, shut) {
		return false
	}
	_ = c.wire.Close() // wakes its reader, which then closes it as ever
	return true
}

// lingerTime bounds how long a client may go on sending what nobody wants.
const lingerTime = 500 * time.Millisecond

// linger makes Close wait until the client has read the last answer and stops sending: a connection that is closed with
// something unread in it is reset, and takes the answer with it.
func linger(c *connection) { c.lingers.Store(true) }

// Close implements [net.Conn].
func (c *connection) Close() (err error) {
	c.closing.Do(func() {
		defer c.places.left(c)
		if c.lingers.Load() && c.closeWrite() == nil && c.wire.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
			_, _ = io.Copy(io.Discard, c.wire) // until the client is done, or the time is up
		}
		err = c.Conn.Close()
	})
	return err
}

// closeWrite tells the client that nothing more comes.
func (c *connection) closeWrite() error {
	if secured, is := c.Conn.(*tls.Conn); is && secured.ConnectionState().HandshakeComplete {
		return secured.CloseWrite()
	}
	if half, can := c.wire.(interface{ CloseWrite() error }); can {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}
