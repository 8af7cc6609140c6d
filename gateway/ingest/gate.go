package ingest

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/sluicehq/sluice/gateway/certificate"
)

// gate is what a connection passes before its first request: a TLS handshake, or on a listener without one a look at the
// first byte, which tells who tries one. It is safe for concurrent use.
type gate struct {
	path    *Path
	config  *tls.Config // nil: plain HTTP
	proxies *Proxies
}

func (p *Path) gate(config *tls.Config, proxies *Proxies) *gate {
	if config != nil {
		for _, r := range []result{shaken, plainHTTP, tooSlowly, hungUp, shedMeanwhile, distrusted, noCertificate, notUnderstood} {
			p.metrics.handshakes.WithLabelValues(string(r))
		}
	}
	return &gate{path: p, config: config, proxies: proxies}
}

func (g *gate) wrap(conn net.Conn) net.Conn {
	if g.config == nil {
		return conn
	}
	return tls.Server(conn, g.config)
}

// pass reads the first bytes of a connection. One that does not pass is told why, as far as it can be, and then reads as
// one that has ended.
func (g *gate) pass(c *connection, p []byte) (n int, err error) {
	if c.introduces && !g.introduced(c) {
		return 0, io.EOF
	}
	secured, isTLS := c.Conn.(*tls.Conn)
	if isTLS && !g.handshake(c, secured) {
		return 0, io.EOF
	}
	c.passed = isTLS
	if n, err = c.Conn.Read(p); n == 0 {
		return 0, endOfSilence(err)
	}
	c.passed = true
	if !isTLS && p[0] == handshakeRecord {
		g.turnAway(c, g.path.answers.takesNoTLS, "a TLS handshake came to a port of plain HTTP: "+tlsRemedy)
		return 0, io.EOF
	}
	return n, nil
}

// endOfSilence ends a connection on which no byte of a request came without a word: a client may have opened it in advance,
// and would take an answer for that to the request that it sends in the same moment.
func endOfSilence(err error) error {
	var network net.Error
	if errors.As(err, &network) && network.Timeout() {
		return io.EOF
	}
	return err
}

// handshakeRecord is the first byte of what a TLS client sends first, and of no HTTP request.
const handshakeRecord = 0x16

// result is how a TLS handshake ended.
type result string

const (
	shaken        result = "ok"
	plainHTTP     result = "plain_http"           // a request came instead
	tooSlowly     result = "timeout"              // within the time of a request
	hungUp        result = "closed"               // by the client, before it was through
	shedMeanwhile result = "too_many_connections" // its place was given to another connection
	distrusted    result = "refused_by_client"    // it does not take the certificate, or what else it says
	noCertificate result = "no_certificate"       // there is none yet
	notUnderstood result = "protocol"             // no version or cipher in common, or no TLS at all
)

// handshake ends within the deadline of the first request, and reports whether there may be one.
func (g *gate) handshake(c *connection, secured *tls.Conn) bool {
	_ = c.wire.SetWriteDeadline(time.Now().Add(writeTimeout)) // fails on a connection that is gone
	err := secured.Handshake()
	ended := endOf(c, err)
	g.path.metrics.handshakes.WithLabelValues(string(ended)).Inc()
	switch ended {
	case shaken:
	case plainHTTP:
		g.turnAway(c, g.path.answers.needsTLS, "a plain request came to a port of HTTPS: "+plainRemedy)
	default:
		g.tell(c, ended, err)
	}
	return ended == shaken
}

// endOf names the end of a handshake by its error.
func endOf(c *connection, err error) result {
	var odd tls.RecordHeaderError
	var network net.Error
	var wire *net.OpError
	switch {
	case err == nil:
		return shaken
	case c.waits.Load() == shut:
		return shedMeanwhile
	case errors.Is(err, certificate.ErrNone):
		return noCertificate
	case errors.As(err, &odd) && odd.Conn != nil && isRequest(odd.RecordHeader[:]):
		return plainHTTP
	case errors.As(err, &wire) && wire.Op == "remote error":
		return distrusted
	case errors.As(err, &network) && network.Timeout():
		return tooSlowly
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &wire):
		return hungUp
	}
	return notUnderstood
}

// isRequest reports whether the first five bytes may be those of an HTTP request.
func isRequest(first []byte) bool {
	for _, method := range []string{"GET /", "HEAD ", "POST ", "PUT /", "PATCH", "DELET", "OPTIO", "CONNE", "TRACE", "PRI *"} {
		if string(first) == method {
			return true
		}
	}
	return false
}

// remediesOf say what to do about handshakes that fail in one way again and again.
var remediesOf = map[result]string{
	tooSlowly:     "a client that never comes through is a stranger's, or the network drops large packets",
	distrusted:    "see what /readyz says of the certificate: sluicectl send --url https://... names what is wrong with it",
	noCertificate: "see what /readyz says of the certificate",
	notUnderstood: "the client speaks no TLS 1.2 or 1.3 with a modern cipher, or no TLS at all",
}

// tell says why a handshake failed, one line a cause and interval. Who only looks whether the port is open is not worth one.
func (g *gate) tell(c *connection, ended result, err error) {
	remedy, known := remediesOf[ended]
	if !known {
		return
	}
	if held, ok := g.path.refused.Allow("handshake " + string(ended)); ok {
		g.path.log.Info("a TLS handshake failed", "result", string(ended), "error", err.Error(), "peer", c.RemoteAddr().String(), "remedy", remedy, "held_back", held)
	}
}

// turnAway answers in plain HTTP who speaks another protocol than the port, and ends the connection.
func (g *gate) turnAway(c *connection, given *answer, why string) {
	given.say(c.wire)
	linger(c)
	g.path.refuse(given, why)
	g.count(c, c.from.address, given, why)
}

// count counts an answer to a connection from which no request was read.
func (g *gate) count(conn net.Conn, from netip.Addr, given *answer, why string) {
	g.path.refusals.noteConnection(conn.RemoteAddr(), given, why)
	g.path.metrics.requests[given].Inc()
	g.path.sender.turnedAway(from, given, time.Now())
}

// internalError is an alert of TLS: what a client that waits for a handshake understands.
var internalError = []byte{0x15, 3, 3, 0, 2, 2, 80}

// refuse answers a connection that is one too many, before anything is read, and closes it.
func (g *gate) refuse(conn net.Conn, given *answer) {
	defer conn.Close()
	g.count(conn, g.proxies.addressOf(conn), given, "")
	if g.config == nil {
		given.say(conn)
		return
	}
	writeShort(conn, internalError)
}

// say writes an answer to a connection from which no request was read.
func (a *answer) say(conn net.Conn) {
	var said fasthttp.Response
	a.fill(&said)
	said.SetConnectionClose()
	var text bytes.Buffer
	w := bufio.NewWriter(&text)
	if said.Write(w) == nil && w.Flush() == nil {
		writeShort(conn, text.Bytes())
	}
}

// refusalTimeout bounds the write of a refusal; what is so short fits into the kernel's buffer.
const refusalTimeout = 100 * time.Millisecond

func writeShort(conn net.Conn, text []byte) {
	_ = conn.SetWriteDeadline(time.Now().Add(refusalTimeout)) // fails on a connection that is gone, as the write does
	_, _ = conn.Write(text)
}
