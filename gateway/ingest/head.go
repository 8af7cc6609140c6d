package ingest

import (
	"bytes"
	"errors"
	"strconv"
)

// errMalformed is what a request is that two readers could understand differently.
var errMalformed = errors.New("ambiguous HTTP")

// headEnd finds where the head of a request ends, in pieces as they come. Its lines end in CRLF and in nothing else.
type headEnd struct {
	line  int  // bytes of the line that has begun
	cr    bool // the last of them is a CR
	begun bool // the request line is complete
}

// scan goes on with p. n bytes of it belong to the head, which ended says is complete; before an error they are those
// before the fault.
func (h *headEnd) scan(p []byte) (n int, ended bool, err error) {
	for n < len(p) {
		i := bytes.IndexByte(p[n:], '\n')
		if i < 0 {
			h.line += len(p) - n
			h.cr = p[len(p)-1] == '\r'
			return len(p), false, nil
		}
		if i > 0 {
			h.cr = p[n+i-1] == '\r'
		}
		if !h.cr {
			return n + i, false, errMalformed
		}
		empty := h.line+i == 1 // the CR alone
		n += i + 1
		if empty && h.begun {
			*h = headEnd{}
			return n, true, nil
		}
		*h = headEnd{begun: !empty} // empty lines may come before a request
	}
	return n, false, nil
}

// chunked stands for the length of a body that comes in chunks.
const chunked = -1

// framing reads from the raw lines of a head how long the body is. It is not ok with what the HTTP server takes and
// another reader may read in another way: a line that goes on in the next one, a transfer encoding other than chunked,
// and one beside a length.
func framing(raw []byte) (length int, ok bool) {
	sized, encoded := false, false
	for line := range bytes.Lines(raw) {
		switch line[0] {
		case ' ', '\t':
			return 0, false
		case 'c', 'C':
			if value, found := cutField(line, "content-length:"); found {
				var err error
				if length, err = strconv.Atoi(string(value)); err != nil || length < 0 || sized {
					return 0, false
				}
				sized = true
			}
		case 't', 'T':
			if value, found := cutField(line, "transfer-encoding:"); found {
				if encoded || !bytes.EqualFold(value, []byte("chunked")) {
					return 0, false
				}
				encoded = true
			}
		}
	}
	if encoded {
		return chunked, !sized
	}
	return length, true
}

// cutField is the value of a field where the line holds the one of this name.
func cutField(line []byte, name string) (value []byte, found bool) {
	if !hasPrefixFold(line, name) {
		return nil, false
	}
	return bytes.Trim(line[len(name):], " \t\r\n"), true
}

// pathOf is the path of a request's target, as it was sent: nothing in it is decoded or tidied. It is not ok with the
// URI of another host than the request is for.
func pathOf(target, host []byte) (path []byte, ok bool) {
	if len(target) > 0 && target[0] != '/' && target[0] != '*' {
		if target, ok = cutOrigin(target, host); !ok {
			return nil, false
		}
	}
	path, _, _ = bytes.Cut(target, []byte("?"))
	return path, true
}

// cutOrigin takes scheme and host off an absolute URI.
func cutOrigin(uri, host []byte) (path []byte, ok bool) {
	scheme, rest, _ := bytes.Cut(uri, []byte("://"))
	if !bytes.EqualFold(scheme, []byte("http")) && !bytes.EqualFold(scheme, []byte("https")) {
		return nil, false
	}
	end := bytes.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	return rest[end:], bytes.EqualFold(rest[:end], host)
}
