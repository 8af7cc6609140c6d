package ingest

import (
	"cmp"
	"math"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Listener bounds how many of a listener's connections are open. When places run short the connection that has waited
// longest for a whole request is closed, or one of an address that has many; where there is none, the new one is answered
// and closed at once. fasthttp has such bounds too, but refuses in words of its own, without a Retry-After, and counts for
// nobody.
func (p *Path) Listener(l net.Listener, limits Limits) net.Listener {
	return &bounded{Listener: l, path: p, gate: p.gate(limits.TLS, limits.Proxies), limits: limits, open: map[*connection]struct{}{}, from: map[netip.Addr]*peer{}, all: &peer{}, strangers: &peer{}}
}

type bounded struct {
	net.Listener
	path   *Path
	gate   *gate
	limits Limits

	mu   sync.Mutex
	open map[*connection]struct{}
	from map[netip.Addr]*peer
	idle []*connection // some that waited long when last looked for, the first to go last

	all, strangers *peer // stand for every address, and for those that nothing authentic came from
}

// peer is an address that connections come from, while there are any.
type peer struct {
	address netip.Addr
	open    int
	bytes   room

	authentic atomic.Bool // something authentic came from it
	looked    time.Time   // when none of its connections was found to wait for long
}

// Accept implements [net.Listener].
func (b *bounded) Accept() (net.Conn, error) {
	for {
		conn, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c, refusal := b.enter(conn)
		if refusal == nil {
			return c, nil
		}
		b.gate.refuse(conn, refusal)
	}
}

// enter lets a connection in, or says why it is one too many.
func (b *bounded) enter(conn net.Conn) (*connection, *answer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	from := b.peer(b.limits.Proxies.addressOf(conn))
	switch {
	case b.crowdedBy(from) && !b.shed(from):
		return nil, b.path.refuse(b.path.answers.crowdedByOne, "more connections from one address than SLUICE_MAX_CONNECTIONS_PER_IP")
	case len(b.open) >= b.limits.Connections && !b.makePlace(from):
		return nil, b.path.refuse(b.path.answers.crowded, "more connections than SLUICE_MAX_CONNECTIONS")
	}
	c := &connection{Conn: b.gate.wrap(conn), wire: conn, gate: b.gate, from: from, by: from, all: &b.path.bytes, places: b}
	c.proxied = b.limits.Proxies.areBehind(conn)
	c.introduces = c.proxied && b.limits.Proxies.Introduce
	b.open[c] = struct{}{}
	b.joins(from)
	return c, nil
}

// left gives a connection's place away when it has ended.
func (b *bounded) left(c *connection) {
	c.unattribute()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget(c)
}

func (b *bounded) peer(address netip.Addr) *peer {
	if known := b.from[address]; known != nil {
		return known
	}
	return b.path.newPeer(address)
}

// crowdedBy reports whether an address has its share of the places. What comes through a unix socket or a trusted proxy
// has no address.
func (b *bounded) crowdedBy(from *peer) bool {
	return from.address.IsValid() && b.limits.ConnectionsPerIP > 0 && from.open >= b.limits.ConnectionsPerIP
}

// makePlace closes a connection for one from another address, and reports whether it could: one that has waited for long,
// or one of an address that has more places. While strangers have most of the places only a sender's takes a sender's.
func (b *bounded) makePlace(from *peer) bool {
	if b.shed(b.strangers) {
		return true
	}
	c, crowd := b.look(from)
	if c != nil && c.endWait(c.waits.Load()) {
		b.forget(c)
		return true
	}
	return (from.authentic.Load() || !crowd) && b.shed(b.all)
}

// looksAt is how many connections are looked at for one place: an address with many is among them.
const looksAt = 64

// look finds a stranger's connection that may go although it has not waited for long: that of the address with the most
// places, as long as the new one's has fewer or is a sender. crowd says that strangers have most of the places.
func (b *bounded) look(from *peer) (found *connection, crowd bool) {
	looked, strange := 0, 0
	for c := range b.open { // in an order of chance
		if looked++; looked > looksAt {
			break
		}
		if c.from.authentic.Load() {
			continue
		}
		strange++
		fair := from.authentic.Load() || from.open+1 < c.from.open
		if fair && c.waits.Load() > 0 && (found == nil || goesBefore(c, found)) {
			found = c
		}
	}
	return found, 2*strange > min(looked, looksAt)
}

// goesBefore compares two connections that wait.
func goesBefore(c, other *connection) bool {
	if c.from.open != other.from.open {
		return c.from.open > other.from.open
	}
	return c.waits.Load() < other.waits.Load()
}

// shed closes the connection that has waited longest and for long, of one address, of strangers or of all, and reports whether there was one.
func (b *bounded) shed(of *peer) bool {
	now := time.Now()
	if b.endIdle(of, now) {
		return true
	}
	if now.Sub(of.looked) < lookAgain {
		return false
	}
	b.findIdle(of, now)
	if b.endIdle(of, now) {
		return true
	}
	of.looked = now
	return false
}

// What a look at all connections may cost: it finds more than one, and is not done again at once when it finds none.
const (
	idleShare = 32 // which part of them is found
	lookAgain = leastIdle / 10
)

// endIdle ends the first of those found that still waits.
func (b *bounded) endIdle(of *peer, now time.Time) bool {
	for i, c := range slices.Backward(b.idle) {
		if !b.isOf(c, of) {
			continue
		}
		b.idle = slices.Delete(b.idle, i, i+1)
		if _, open := b.open[c]; open && c.endIdle(now) {
			b.forget(c)
			return true
		}
	}
	return false
}

func (b *bounded) findIdle(of *peer, now time.Time) {
	b.idle = b.idle[:0]
	for c := range b.open {
		if b.isOf(c, of) && c.waitsFor(now) >= leastIdle {
			b.idle = append(b.idle, c)
		}
	}
	slices.SortFunc(b.idle, func(x, y *connection) int { return cmp.Compare(x.waitsFor(now), y.waitsFor(now)) })
	if most := len(b.open)/idleShare + 1; len(b.idle) > most {
		b.idle = slices.Delete(b.idle, 0, len(b.idle)-most)
	}
}

func (b *bounded) isOf(c *connection, of *peer) bool {
	return of == b.all || of == c.from || of == b.strangers && !c.from.authentic.Load()
}

// forget gives a connection's place away. It may be called twice.
func (b *bounded) forget(c *connection) {
	if _, open := b.open[c]; !open {
		return
	}
	delete(b.open, c)
	b.leaves(c.from)
}

// newPeer is an address whose bodies may take half of the limit, and half of what is kept for small ones; what has no
// address may take all of it.
func (p *Path) newPeer(address netip.Addr) *peer {
	from := &peer{address: address}
	if from.bytes.most, from.bytes.large = math.MaxInt64, math.MaxInt64; address.IsValid() {
		from.bytes.large = p.bytes.most / 2
		from.bytes.most = from.bytes.large + (p.bytes.most-p.bytes.large)/2
		from.authentic.Store(p.sender.knows(address))
	}
	return from
}

// ipv6Network is what one customer of an internet provider has, and so counts as one address.
const ipv6Network = 64

// remote is where a connection comes from; the zero address where there is none, as on a unix socket.
func remote(conn net.Conn) netip.Addr {
	tcp, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr().Unmap().WithZone("")
}

// networkOf is what an address counts as.
func networkOf(address netip.Addr) netip.Addr {
	if !address.Is6() {
		return address
	}
	network, _ := address.Prefix(ipv6Network) // fails only for a length that cannot be
	return network.Addr()
}
