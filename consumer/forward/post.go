package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sluicehq/sluice/internal/tracing"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/telemetry"
	"github.com/sluicehq/sluice/pkg/worker"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// poster posts events to one target over connections of its own. It is safe for concurrent use.
type poster struct {
	target  *target
	timeout time.Duration // of a request, to the end of its answer
	client  *http.Client
	count   func(status int) // of every answer; 0 where there was none
}

const (
	dialTimeout = 3 * time.Second
	idleTimeout = 90 * time.Second
	maxAnswer   = 64 << 10 // bytes of an answer that are read; a longer one costs its connection
)

// newPoster makes as many connections as the concurrency at most; longest bounds the target's own timeout.
func newPoster(t *target, concurrency int, longest time.Duration, count func(int)) *poster {
	dialer := &net.Dialer{Timeout: dialTimeout}
	if !t.AllowPrivate {
		dialer.Control = refusePrivate
	}
	transport := &http.Transport{
		DialContext: dialer.DialContext, TLSHandshakeTimeout: dialTimeout, IdleConnTimeout: idleTimeout,
		MaxConnsPerHost: concurrency, MaxIdleConns: concurrency, MaxIdleConnsPerHost: concurrency,
		MaxResponseHeaderBytes: maxAnswer, DisableCompression: true,
	}
	if t.Proxy != "" {
		proxy, err := url.Parse(t.Proxy)
		transport.Proxy = func(*http.Request) (*url.URL, error) { return proxy, err }
	}
	return &poster{target: t, timeout: min(t.Timeout, longest), count: count, client: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// post makes one attempt and returns what it means for the event; see [meaning].
func (p *poster) post(ctx context.Context, e *event.Event) error {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	request, err := p.request(ctx, e)
	if err != nil {
		return err
	}
	answer, err := p.client.Do(request)
	if err != nil {
		p.count(0)
		return p.explain(ctx, err)
	}
	defer answer.Body.Close()
	p.count(answer.StatusCode)
	said, _ := io.ReadAll(io.LimitReader(answer.Body, maxAnswer)) // to its end, so that the connection is used again
	if isDuplicate(answer, said) {
		worker.Note(ctx, "Duplicate")
	}
	return meaning(answer, said, e, time.Now())
}

// request is what Zorio would send now: the timestamp is fresh with each attempt.
func (p *poster) request(ctx context.Context, e *event.Event) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.target.URL, bytes.NewReader(e.Body))
	if err != nil {
		return nil, err
	}
	request.Header = zorio.Headers(p.target.Secret, e.Name, e.Delivery, time.Now(), e.Body)
	request.Header.Set("User-Agent", "sluice-forward/"+telemetry.Version())
	// Empty, it is not sent, and says that the request may be sent again on a new connection where the receiver has
	// closed an idle one (net/http, Transport): receivers know the delivery by its id.
	request.Header["Idempotency-Key"] = []string{}
	if trace := traceparent(ctx, e); trace != "" {
		request.Header.Set(event.HeaderTraceparent, trace)
	}
	return request, nil
}

// traceparent is that of the attempt, or where nothing is traced here, the one that the event came with.
func traceparent(ctx context.Context, e *event.Event) string {
	if own := tracing.Traceparent(ctx); own != "" {
		return own
	}
	return strings.Join(e.Header[event.HeaderTraceparent], "")
}

// explain says why there was no answer, without the URL, in which there may be secrets. Where there was not even a
// connection, no event is to blame.
func (p *poster) explain(ctx context.Context, err error) error {
	var inside *url.Error
	if errors.As(err, &inside) {
		err = inside.Err
	}
	var dialed *net.OpError
	switch {
	case errors.As(err, &dialed) && dialed.Op == "dial":
		return worker.Unavailable(0, fmt.Errorf("no connection: %w", err))
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("no answer within %s: %w", p.timeout, err)
	}
	return fmt.Errorf("no answer: %w", err)
}

func (p *poster) close() { p.client.CloseIdleConnections() }
