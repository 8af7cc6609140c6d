package ingest

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/valyala/fasthttp"
)

// Limits bound what one connection, and all of them together, may take.
type Limits struct {
	Connections      int // at once; one more is answered 503
	ConnectionsPerIP int // at once from one address; 0 means no bound of its own; one more is answered 429
}

// Timeouts of slow clients. A request that trickles in is closed after readTimeout, headers and body together.
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
		HeaderReceived: p.boundBody,
		ExpectHandler:  p.mayContinue,
		ErrorHandler:   p.serveError,

		DisablePreParseMultipartForm: true, // or a multipart body is rewritten before its signature is checked
		NoDefaultServerHeader:        true,
		SecureErrorLogMessage:        true, // or errors quote what was sent
		CloseOnShutdown:              true,

		MaxRequestBodySize: p.MaxBody,
		ReadBufferSize:     MaxHeader,
		Concurrency:        2 * limits.Connections, // Listener bounds; a worker outlives its connection for a moment
		ReadTimeout:        readTimeout,
		WriteTimeout:       writeTimeout,
		IdleTimeout:        idleTimeout,
		Logger:             serverLog{p.log},
	}
}

// boundBody makes a request that cannot be let in end before its body is read: fasthttp knows no other way here than a
// limit that every body exceeds. serveError says what it was.
func (p *Path) boundBody(*fasthttp.RequestHeader) (c fasthttp.RequestConfig) {
	if p.full() {
		c.MaxRequestBodySize = 1
	}
	return c
}

// mayContinue answers a client that asks before it sends the body (Expect: 100-continue), for whom boundBody comes too
// late: it would be told to go on first.
func (p *Path) mayContinue(ctx *fasthttp.RequestCtx) int {
	if !p.full() && ctx.Request.Header.ContentLength() <= p.MaxBody {
		return fasthttp.StatusContinue
	}
	p.serveError(ctx, fasthttp.ErrBodyTooLarge)
	return ctx.Response.StatusCode()
}

func (p *Path) full() bool { return p.inside.Load() >= int64(p.MaxInflight) }

// serveError answers what never became a request.
func (p *Path) serveError(ctx *fasthttp.RequestCtx, err error) {
	given := p.answerTo(err, ctx.Request.Header.ContentLength())
	given.write(ctx)
	if given != p.answers.timeout {
		linger(ctx.Conn())
	}
	p.metrics.requests[given].Inc()
}

func (p *Path) answerTo(err error, length int) *answer {
	var header *fasthttp.ErrSmallBuffer
	var network net.Error
	switch {
	// The length is 0 for a chunked body that was begun: the server has forgotten the request then.
	case errors.Is(err, fasthttp.ErrBodyTooLarge) && (length > 0 && length <= p.MaxBody || length <= 0 && p.full()):
		return p.refuse(p.answers.overloaded, "more requests inside than SLUICE_MAX_INFLIGHT")
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		return p.refuse(p.answers.tooLarge, "the body is larger than SLUICE_MAX_BODY")
	case errors.As(err, &header):
		return p.refuse(p.answers.headerTooLarge, "the headers are larger than 16 KiB")
	case errors.As(err, &network) && network.Timeout():
		return p.refuse(p.answers.timeout, "the request did not arrive within 10 s")
	}
	return p.refuse(p.answers.malformed, "not HTTP/1.1 that can be understood in one way only")
}

// serverLog takes fasthttp's own lines, which are about single connections of strangers.
type serverLog struct{ log *slog.Logger }

func (l serverLog) Printf(format string, args ...any) {
	l.log.Debug("http: " + fmt.Sprintf(format, args...))
}
