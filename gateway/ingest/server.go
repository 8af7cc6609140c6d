package ingest

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/valyala/fasthttp"
)

// Limits bound what one connection, and all of them together, may take.
type Limits struct {
	Connections      int         // maximum open connections; beyond it, an idle one is closed, or the new one gets 503
	ConnectionsPerIP int         // the same for one address, with 429; 0 means no limit of its own
	TLS              *tls.Config // every connection begins with its handshake; nil: plain HTTP
	Proxies          *Proxies    // are taken at their word about whose a request is; nil: nobody is
}

// Timeouts of slow clients. A request that trickles in is closed after readTimeout, headers and body together, and the
// first one on a connection with its TLS handshake.
const (
	readTimeout  = 10 * time.Second
	writeTimeout = 5 * time.Second
	idleTimeout  = 60 * time.Second
	MaxHeader    = 16 << 10 // bytes of the request line and all headers
)

// Server is the HTTP server of an internet-facing edge, for a [Path.Listener] with the same limits. What is not
// fasthttp's default is there for a reason.
func (p *Path) Server(limits Limits) *fasthttp.Server {
	return &fasthttp.Server{
		Handler:        p.Serve,
		HeaderReceived: keepBody,
		ExpectHandler:  p.mayContinue,
		ErrorHandler:   p.serveError,

		DisablePreParseMultipartForm: true, // or a multipart body is rewritten before its signature is checked
		NoDefaultServerHeader:        true,
		SecureErrorLogMessage:        true, // or errors quote what was sent
		CloseOnShutdown:              true,
		LazyRequestTime:              true, // nobody asks for it

		ReadBufferSize: MaxHeader,
		Concurrency:    2 * limits.Connections, // Listener bounds; a worker outlives its connection for a moment
		ReadTimeout:    readTimeout,
		WriteTimeout:   writeTimeout,
		IdleTimeout:    idleTimeout,
		Logger:         serverLog{p.log},
	}
}

// keepBody keeps the server from reading a body: the path does, when it wants it.
func keepBody(h *fasthttp.RequestHeader) (c fasthttp.RequestConfig) {
	h.SetContentLength(0)
	return c
}

// mayContinue answers a client that asks before it sends the body (Expect: 100-continue).
func (p *Path) mayContinue(ctx *fasthttp.RequestCtx) int {
	r := request{conn: ctx.Conn().(*connection)}
	if refusal := p.greet(&r, &ctx.Request.Header); refusal != nil {
		p.sayLast(ctx, &r, refusal)
		return refusal.Status
	}
	return fasthttp.StatusContinue
}

// serveError answers what never became a request.
func (p *Path) serveError(ctx *fasthttp.RequestCtx, err error) {
	r := request{conn: ctx.Conn().(*connection), length: chunked, torn: true}
	p.sayLast(ctx, &r, p.answerTo(&r, err))
}

// sayLast gives an answer after which the connection ends.
func (p *Path) sayLast(ctx *fasthttp.RequestCtx, r *request, given *answer) {
	p.tell(r, &ctx.Request.Header, given, 0)
	given.write(ctx)
	ctx.SetConnectionClose()
	if given != p.answers.timeout {
		linger(r.conn)
	}
	p.metrics.requests[given].Inc()
	p.sender.answered(r, &ctx.Request.Header, given, 0, time.Now())
}

// answerTo is what is said to a request that could not be read.
func (p *Path) answerTo(r *request, err error) *answer {
	var header *fasthttp.ErrSmallBuffer
	var network net.Error
	switch {
	case r.conn.waits.Load() == shut: // which nobody reads any more
		return r.refuse(p.answers.crowded, "its place was given to another connection before the request was complete")
	case errors.Is(err, errTooLarge):
		return r.refuse(p.answers.tooLarge, "the body is larger than SLUICE_MAX_BODY")
	case errors.Is(err, errNoRoom):
		return r.refuse(p.answers.overloaded, "more bytes of bodies than SLUICE_MAX_INFLIGHT_BYTES, of which bodies over 4 KiB may use three quarters, and one address half")
	case errors.As(err, &header):
		return r.refuse(p.answers.headerTooLarge, "the headers are larger than 16 KiB")
	case errors.As(err, &network) && network.Timeout():
		return r.refuse(p.answers.timeout, "the request did not arrive within 10 s")
	}
	return r.refuse(p.answers.malformed, "not HTTP/1.1 that can be understood in one way only")
}

// serverLog takes fasthttp's own lines, which are about single connections of strangers.
type serverLog struct{ log *slog.Logger }

func (l serverLog) Printf(format string, args ...any) {
	l.log.Debug("http: " + fmt.Sprintf(format, args...))
}
