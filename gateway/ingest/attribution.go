package ingest

import (
	"errors"
	"io"
	"net"
	"net/netip"

	"github.com/valyala/fasthttp"
)

// Behind a trusted proxy a connection counts for nobody, and each request on it for its sender. With the PROXY protocol a
// connection counts for whom the proxy has it from.

// introduced reads who a connection comes from, where a trusted proxy says so, and reports false for one that cannot be
// taken. A proxy that only looks whether the port is open says nothing.
func (g *gate) introduced(c *connection) bool {
	c.introduces = false
	source, err := readIntroduction(c.wire)
	var network net.Error
	switch {
	case err == nil && !source.IsValid():
		return true
	case err == nil:
		c.source = source
		if refusal := c.places.move(c, source.Addr()); refusal != nil {
			g.turnAway(c, refusal, "more connections from one address than SLUICE_MAX_CONNECTIONS_PER_IP")
			return false
		}
		return true
	case errors.Is(err, io.EOF), errors.As(err, &network):
	default:
		g.turnAway(c, g.path.answers.malformed, "a trusted proxy sent no header of the PROXY protocol, which SLUICE_PROXY_PROTOCOL=true expects: let it send one, or unset the setting")
	}
	return false
}

// move counts a connection for another address than before, or says why it is one too many.
func (b *bounded) move(c *connection, address netip.Addr) *answer {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, open := b.open[c]; !open { // its place was given away
		return nil
	}
	c.proxied = b.limits.Proxies.trust(address)
	if c.proxied {
		return nil
	}
	to := b.peer(networkOf(address))
	if b.crowdedBy(to) && !b.shed(to) {
		return b.path.answers.crowdedByOne
	}
	b.leaves(c.from)
	c.from, c.by = to, to
	b.joins(to)
	return nil
}

// attribute finds out whose request it is that a proxy passes on, and reports false where that address has its share of
// concurrent requests already.
func (c *connection) attribute(h *fasthttp.RequestHeader) bool {
	b, sender := c.places, c.places.limits.Proxies.senderOf(h.PeekAll(fasthttp.HeaderXForwardedFor))
	c.unattribute()
	if !sender.IsValid() {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	c.sender, c.by = sender, b.peer(networkOf(sender))
	crowded := b.crowdedBy(c.by)
	b.joins(c.by)
	return !crowded
}

// unattribute ends the counting of a request for its sender. It may be called twice.
func (c *connection) unattribute() {
	if c.by == c.from {
		return
	}
	c.places.mu.Lock()
	defer c.places.mu.Unlock()
	c.places.leaves(c.by)
	c.sender, c.by = netip.Addr{}, c.from
}

// joins counts a connection or a request for an address.
func (b *bounded) joins(p *peer) {
	b.from[p.address] = p
	p.open++
}

func (b *bounded) leaves(p *peer) {
	if p.open--; p.open == 0 {
		delete(b.from, p.address) // or the map would keep every address that ever came
	}
}

// RemoteAddr implements [net.Conn]: what a trusted proxy says counts for more than the proxy's own address.
func (c *connection) RemoteAddr() net.Addr {
	if c.source.IsValid() {
		return net.TCPAddrFromAddrPort(c.source)
	}
	return c.Conn.RemoteAddr()
}
