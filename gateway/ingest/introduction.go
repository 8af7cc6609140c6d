package ingest

import (
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"strconv"
	"strings"
)

// A header of the PROXY protocol begins like this, in version 1 and in version 2.
const (
	introduces1 = "PROXY "
	introduces2 = "\r\n\r\n\x00\r\nQUIT\n"
)

// Bounds of a header: of a line of version 1 by its definition, of what follows the first 16 bytes of version 2 by us.
const (
	maxIntroduction1 = 107
	maxIntroduction2 = 2048
)

var errNoIntroduction = errors.New("no header of the PROXY protocol")

// readIntroduction reads the header with which a proxy says where a connection comes from, and not a byte more. It is the
// zero value where the proxy speaks for itself, as its health checks do. An error of r alone is io.EOF or what r says.
func readIntroduction(r io.Reader) (source netip.AddrPort, err error) {
	var first [len(introduces2)]byte // shorter than any header
	if _, err := io.ReadFull(r, first[:]); err != nil {
		return source, err
	}
	switch begin := string(first[:]); {
	case begin == introduces2:
		return readIntroduction2(r)
	case strings.HasPrefix(begin, introduces1):
		return readIntroduction1(r, first[:])
	}
	return source, errNoIntroduction
}

// readIntroduction1 goes on with a line such as PROXY TCP4 203.0.113.9 10.0.0.1 40000 443.
func readIntroduction1(r io.Reader, line []byte) (source netip.AddrPort, err error) {
	var next [1]byte
	for line[len(line)-1] != '\n' {
		if len(line) == maxIntroduction1 {
			return source, errNoIntroduction
		}
		if _, err := io.ReadFull(r, next[:]); err != nil {
			return source, err
		}
		line = append(line, next[0])
	}
	text, ended := strings.CutSuffix(string(line), "\r\n")
	fields := strings.Split(text, " ")
	switch {
	case ended && fields[1] == "UNKNOWN":
		return source, nil
	case !ended || len(fields) != 6 || fields[1] != "TCP4" && fields[1] != "TCP6":
		return source, errNoIntroduction
	}
	address, wrong := netip.ParseAddr(fields[2])
	port, wrongToo := strconv.ParseUint(fields[4], 10, 16)
	if wrong != nil || wrongToo != nil || address.Is4() != (fields[1] == "TCP4") {
		return source, errNoIntroduction
	}
	return unmapped(netip.AddrPortFrom(address, uint16(port))), nil
}

// What the first bytes of version 2 say.
const (
	local2, proxy2      = 0x20, 0x21
	unspecified2, unix2 = 0x00, 0x31
	tcp4, tcp6          = 0x11, 0x21
	addresses4          = 4 + 4 + 2 + 2
	addresses6          = 16 + 16 + 2 + 2
)

func readIntroduction2(r io.Reader) (source netip.AddrPort, err error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return source, err
	}
	size := int(binary.BigEndian.Uint16(head[2:]))
	if size > maxIntroduction2 {
		return source, errNoIntroduction
	}
	rest := make([]byte, size)
	if _, err := io.ReadFull(r, rest); err != nil {
		return source, err
	}
	switch command, family := head[0], head[1]; {
	case command == local2, command == proxy2 && (family == unspecified2 || family == unix2):
		return source, nil
	case command == proxy2 && family == tcp4 && size >= addresses4:
		return unmapped(netip.AddrPortFrom(netip.AddrFrom4([4]byte(rest)), binary.BigEndian.Uint16(rest[8:]))), nil
	case command == proxy2 && family == tcp6 && size >= addresses6:
		return unmapped(netip.AddrPortFrom(netip.AddrFrom16([16]byte(rest)), binary.BigEndian.Uint16(rest[32:]))), nil
	}
	return source, errNoIntroduction
}

func unmapped(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}
