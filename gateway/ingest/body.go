package ingest

import (
	"bytes"
	"errors"
	"io"
)

var (
	errTooLarge = errors.New("body too large")
	errNoRoom   = errors.New("the bodies of concurrent requests reach their limit")
)

// body reads the body of the request whose head was given out last, and is good until drop. Its memory grows as its
// bytes come, whatever was announced, and counts towards the limit until release.
func (c *connection) body(length, most int) (body []byte, err error) {
	switch {
	case length > most:
		return nil, errTooLarge
	case length == 0:
		c.unread = false
		return nil, nil
	case !c.countRest():
		return nil, errNoRoom
	case length == chunked:
		if length, err = c.unchunk(most); err != nil {
			return nil, err
		}
	}
	for c.buffered() < length {
		if err := c.more(); err != nil {
			return nil, err
		}
	}
	c.unread, c.taken = false, length
	return (*c.rest)[:length], nil
}

// countRest begins to count the memory of what came with the head.
func (c *connection) countRest() bool {
	if c.rest == nil {
		c.rest = newBuffer(leastBuffer)
	}
	return c.count(cap(*c.rest))
}

// count counts bytes towards the limit.
func (c *connection) count(n int) bool {
	small := c.counted+n <= leastBuffer
	if !c.by.bytes.take(n, small) {
		return false
	}
	if !c.all.take(n, small) {
		c.by.bytes.give(n)
		return false
	}
	c.counted += n
	return true
}

// release ends the counting of a request and of its bytes.
func (c *connection) release() {
	if c.counted > 0 {
		c.by.bytes.give(c.counted)
		c.all.give(c.counted)
		c.counted = 0
	}
	c.unattribute()
}

// more reads what has come behind what is there.
func (c *connection) more() error {
	if len(*c.rest) == cap(*c.rest) {
		if !c.count(cap(*c.rest)) {
			return errNoRoom
		}
		grown := newBuffer(2 * cap(*c.rest))
		*grown = append(*grown, *c.rest...)
		freeBuffer(c.rest)
		c.rest = grown
	}
	b := *c.rest
	n, err := c.Conn.Read(b[len(b):cap(b)])
	*c.rest = b[:len(b)+n]
	if n > 0 {
		return nil
	}
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// drop gives up the body, and keeps what came behind it for the next request.
func (c *connection) drop() {
	if c.rest == nil {
		return
	}
	*c.rest = append((*c.rest)[:0], (*c.rest)[c.taken:]...)
	c.taken = 0
	if len(*c.rest) == 0 {
		freeBuffer(c.rest)
		c.rest = nil
	}
}

// end passes over what is left of a request's body, and reports false where that has not come yet: such a connection can
// take no other request.
func (c *connection) end(length int) bool {
	if c.unread {
		if length < 0 || length > c.buffered() {
			return false
		}
		c.unread, c.taken = false, length
	}
	c.drop()
	return true
}

// maxChunkLine bounds the line before a chunk, its end included: a size, and an extension of a few bytes.
const maxChunkLine = 64

// unchunk takes the chunks of a body out of their framing, in place, and returns how long the body is. No field may
// follow it.
func (c *connection) unchunk(most int) (body int, err error) {
	raw := 0 // (*c.rest)[:body] is the body so far, and [raw:] what is still to be read
	for {
		line, err := c.line(body, &raw)
		size, sound := chunkSize(line)
		switch {
		case err != nil:
			return 0, err
		case !sound:
			return 0, errMalformed
		case size > most-body:
			return 0, errTooLarge
		}
		last := size == 0
		if body, err = c.chunk(size, body, &raw); err != nil {
			return 0, err
		}
		if line, err = c.line(body, &raw); err != nil {
			return 0, err
		}
		if len(line) > 0 {
			return 0, errMalformed
		}
		if last {
			c.pack(body, &raw)
			return body, nil
		}
	}
}

// chunk moves the bytes of one chunk behind the body.
func (c *connection) chunk(size, body int, raw *int) (int, error) {
	for size > 0 {
		if *raw == c.buffered() {
			c.pack(body, raw)
			if err := c.more(); err != nil {
				return 0, err
			}
		}
		b := *c.rest
		n := copy(b[body:], b[*raw:min(*raw+size, len(b))])
		body, *raw, size = body+n, *raw+n, size-n
	}
	return body, nil
}

// line reads a short line that ends in CRLF, without its end.
func (c *connection) line(body int, raw *int) ([]byte, error) {
	for {
		waiting := (*c.rest)[*raw:]
		if i := bytes.IndexByte(waiting, '\n'); i >= 0 && i < maxChunkLine {
			*raw += i + 1
			line, sound := bytes.CutSuffix(waiting[:i], []byte("\r"))
			if !sound {
				return nil, errMalformed
			}
			return line, nil
		}
		if len(waiting) >= maxChunkLine {
			return nil, errMalformed
		}
		c.pack(body, raw)
		if err := c.more(); err != nil {
			return nil, err
		}
	}
}

// pack closes the gap between the body so far and what is still to be read.
func (c *connection) pack(body int, raw *int) {
	*c.rest = append((*c.rest)[:body], (*c.rest)[*raw:]...)
	*raw = body
}

// chunkSize reads the line before a chunk. An extension means nothing here, and may hold no control bytes.
func chunkSize(line []byte) (size int, ok bool) {
	digits, extension, _ := bytes.Cut(line, []byte(";"))
	if len(digits) == 0 || len(digits) > 7 || bytes.IndexFunc(extension, isControl) >= 0 {
		return 0, false
	}
	for _, d := range digits {
		switch {
		case d >= '0' && d <= '9':
			d -= '0'
		case d|0x20 >= 'a' && d|0x20 <= 'f':
			d = d | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		size = size<<4 | int(d)
	}
	return size, true
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }
