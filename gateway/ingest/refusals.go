package ingest

import (
	"bytes"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/valyala/fasthttp"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

// refusals keep the last refused requests of each cause, so that there is something to look at: a few a second, beside
// the way of a request. While NATS is away they are dropped.
type refusals struct {
	keep   func(*nats.Msg) error
	pace   *telemetry.Limiter
	queue  chan *nats.Msg
	source string
	stop   chan struct{}
	done   sync.WaitGroup
}

const (
	keptEvery  = 500 * time.Millisecond // of one cause
	keptBody   = 64 << 10               // bytes
	keptMethod = 16
	keptTarget = 256
	keptQueue  = 8
)

// newRefusals hands what is kept to keep; nil keeps nothing.
func newRefusals(source string, keep func(*nats.Msg) error) *refusals {
	k := &refusals{keep: keep, source: source, pace: telemetry.NewLimiter(nil, keptEvery), queue: make(chan *nats.Msg, keptQueue), stop: make(chan struct{})}
	if keep != nil {
		k.done.Go(k.run)
	}
	return k
}

func (k *refusals) run() {
	for {
		select {
		case m := <-k.queue:
			_ = k.keep(m) // fails while NATS is away, which has more important things to hear when it is back
		case <-k.stop:
			return
		}
	}
}

// note keeps a request, unless one of the same cause was kept just now. It never waits.
func (k *refusals) note(r *request, h *fasthttp.RequestHeader, given *answer) {
	if k.keep == nil || !given.kept {
		return
	}
	if _, now := k.pace.Allow(given.label); !now {
		return
	}
	select {
	case k.queue <- r.captured(h, k.source, given):
	default:
	}
}

func (k *refusals) close() {
	close(k.stop)
	k.done.Wait()
}

// captured is a refused request as a message: what the sender set, what came of the body, and nothing that may be a
// secret, such as a query, a cookie or a password.
func (r *request) captured(h *fasthttp.RequestHeader, source string, given *answer) *nats.Msg {
	m := nats.NewMsg(event.RefusedSubject(source, given.label))
	for _, f := range r.fields[:r.count] {
		m.Header[string(f.key)] = []string{string(f.value)}
	}
	for _, name := range []string{fasthttp.HeaderContentType, fasthttp.HeaderContentEncoding, fasthttp.HeaderUserAgent} {
		if value := h.Peek(name); len(value) > 0 {
			m.Header[name] = []string{string(value)}
		}
	}
	m.Data = bytes.Clone(r.body[:min(len(r.body), keptBody)])
	state := "whole"
	switch {
	case r.body == nil && r.length != 0:
		state = "not read"
	case len(r.body) > keptBody:
		state = fmt.Sprintf("cut, %d bytes came", len(r.body))
	}
	m.Header.Set(event.HeaderSource, source)
	m.Header.Set(event.HeaderReceived, time.Now().UTC().Format(time.RFC3339Nano))
	m.Header.Set(event.HeaderReason, r.why)
	m.Header.Set(event.HeaderAnswer, fmt.Sprintf("%d %s", given.Status, given.Text))
	m.Header.Set(event.HeaderPeer, r.peer())
	m.Header.Set(event.HeaderRequest, r.firstLine(h))
	m.Header.Set(event.HeaderBody, state)
	return m
}

// firstLine is a request's first line without its query, and without what may be a password.
func (r *request) firstLine(h *fasthttp.RequestHeader) string {
	if r.torn {
		return "not readable"
	}
	target := h.RequestURI()
	if at := bytes.LastIndexByte(target, '@'); at > 0 && target[0] != '/' { // as in http://user:password@host/path
		target = target[at+1:]
	}
	target, _, _ = bytes.Cut(target, []byte("?"))
	method := h.Method()
	return fmt.Sprintf("%s %s %s", method[:min(len(method), keptMethod)], target[:min(len(target), keptTarget)], h.Protocol())
}

// shownDelivery is how much is shown of the delivery id of a request that is not authentic.
const shownDelivery = 128

// tell says why a request is refused or put aside, one line a cause and interval, and keeps some of what is refused.
func (p *Path) tell(r *request, h *fasthttp.RequestHeader, given *answer) {
	if held, ok := p.refused.Allow(given.label); ok {
		p.log.Info("refused", "answer", given.label, "reason", r.why, "peer", r.peer(), "delivery", string(r.delivery[:min(len(r.delivery), shownDelivery)]), "held_back", held)
	}
	p.refusals.note(r, h, given)
}

// refuse says why a connection is refused or a delivery put aside, one line a cause and interval.
func (p *Path) refuse(a *answer, why string) *answer {
	p.refused.Info(a.label, "refused", "answer", a.label, "reason", why)
	return a
}
