package main

import (
	"fmt"
	"net/netip"
	"strings"
	"syscall"
)

// notInternet are the ranges of IANA's special-purpose address registries that netip has no word for, and those that
// carry an IPv4 address inside.
var notInternet = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("::/96"), netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("100::/64"), netip.MustParsePrefix("2001::/23"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("2002::/16"),
	netip.MustParsePrefix("fec0::/10"),
}

// refusePrivate is a [net.Dialer.Control]: it sees the address that is really dialed, after every look-up of a name, so
// that a name which changes its mind gains nothing.
func refusePrivate(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if !onInternet(at.Addr()) {
		return fmt.Errorf("%s is not a public address, and allow_private: false refuses it", at.Addr())
	}
	return nil
}

// literallyPrivate reports a host that can be seen to be none of the internet, before it is dialed: an address, or this
// machine's own name. Of other names only a look-up tells, and it may tell something else the next time.
func literallyPrivate(host string) bool {
	address, err := netip.ParseAddr(host)
	return err == nil && !onInternet(address) || strings.EqualFold(host, "localhost")
}

func onInternet(address netip.Addr) bool {
	address = address.Unmap().WithZone("")
	if !address.IsGlobalUnicast() || address.IsPrivate() {
		return false
	}
	for _, prefix := range notInternet {
		if prefix.Contains(address) {
			return false
		}
	}
	return true
}
