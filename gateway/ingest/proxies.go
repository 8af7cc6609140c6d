package ingest

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Proxies are those whose word about where a request comes from is taken. A nil one trusts nobody.
type Proxies struct {
	Introduce bool // they begin each connection with a header of the PROXY protocol

	networks []netip.Prefix
	unix     bool
}

// ParseProxies reads addresses, networks and the word unix, which stands for whoever connects to a socket in the file
// system, separated by commas. An empty list trusts nobody.
func ParseProxies(list string) (*Proxies, error) {
	p := &Proxies{}
	for one := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ',' || r == ' ' }) {
		if one == "unix" {
			p.unix = true
			continue
		}
		network, err := netip.ParsePrefix(one)
		if address, wrong := netip.ParseAddr(one); wrong == nil && address.Zone() == "" {
			network, err = netip.PrefixFrom(address, address.BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("%q is no address: use addresses such as 10.0.0.7, networks such as 10.0.0.0/8, or unix, separated by commas", one)
		}
		p.networks = append(p.networks, network.Masked())
	}
	return p, nil
}

// areBehind reports whether a connection comes from one of them.
func (p *Proxies) areBehind(conn net.Conn) bool {
	if p == nil {
		return false
	}
	if _, isUnix := conn.RemoteAddr().(*net.UnixAddr); isUnix {
		return p.unix
	}
	return p.trust(remote(conn))
}

func (p *Proxies) trust(address netip.Addr) bool {
	return p != nil && slices.ContainsFunc(p.networks, func(n netip.Prefix) bool { return n.Contains(address) })
}

// addressOf is whom a connection counts for; the zero address, for which there is no limit, where a proxy speaks for many.
func (p *Proxies) addressOf(conn net.Conn) netip.Addr {
	if p.areBehind(conn) {
		return netip.Addr{}
	}
	return networkOf(remote(conn))
}

// senderOf is who sent a request, by its lines of X-Forwarded-For: read from the end, to which each proxy adds whom it
// heard, the first that is none of ours. Whatever stands before may be anybody's. It is the zero address where a proxy of
// ours adds something else than an address.
func (p *Proxies) senderOf(lines [][]byte) (sender netip.Addr) {
	for _, line := range slices.Backward(lines) {
		for more := true; more; {
			var ok bool
			at := bytes.LastIndexByte(line, ',')
			if sender, ok = parseForwarded(line[at+1:]); !ok || !p.trust(sender) {
				return sender
			}
			if more = at >= 0; more {
				line = line[:at]
			}
		}
	}
	return sender
}

// parseForwarded reads an address with or without a port.
func parseForwarded(text []byte) (netip.Addr, bool) {
	entry := string(bytes.TrimSpace(text))
	address, err := netip.ParseAddr(strings.Trim(entry, "[]"))
	if err != nil {
		with, wrong := netip.ParseAddrPort(entry)
		address, err = with.Addr(), wrong
	}
	if err != nil {
		return netip.Addr{}, false
	}
	return address.Unmap().WithZone(""), true
}
