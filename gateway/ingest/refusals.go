package ingest

import (
	"bytes"
	"cmp"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/valyala/fasthttp"

	"github.com/sluicehq/sluice/gateway/source"
	"github.com/sluicehq/sluice/internal/mask"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

// refusals keep the last requests of each cause that became no new event, so that there is something to look at: a few a
// second, beside the way of a request. While NATS is away or slow they are dropped.
type refusals struct {
	keep      func(*nats.Msg) error
	pace      *telemetry.Limiter
	queue     chan *nats.Msg
	source    string
	signature string // the header that has it
	stop      chan struct{}
	done      sync.WaitGroup
}

const (
	keptEvery  = 500 * time.Millisecond // of one cause
	keptBody   = 64 << 10               // bytes
	keptMethod = 16
	keptTarget = 256
	keptQueue  = 8
)

// newRefusals hands what is kept to keep; nil keeps nothing.
func newRefusals(s *source.Source, keep func(*nats.Msg) error) *refusals {
	k := &refusals{keep: keep, source: s.Name, signature: s.HeaderSignature, pace: telemetry.NewLimiter(nil, keptEvery), queue: make(chan *nats.Msg, keptQueue), stop: make(chan struct{})}
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

// note keeps a request that was answered in a while, unless one of the same cause was kept just now. It never waits.
func (k *refusals) note(r *request, h *fasthttp.RequestHeader, given *answer, took time.Duration) {
	if k.allows(given) {
		m := r.captured(h, k.signature)
		m.Header.Set(event.HeaderTook, took.String())
		m.Header.Set(event.HeaderReason, cmp.Or(r.why, given.about))
		k.put(m, given, r.peer())
	}
}

// noteConnection keeps what is known of a connection from which no request was read.
func (k *refusals) noteConnection(peer net.Addr, given *answer, why string) {
	if k.allows(given) {
		m := &nats.Msg{Header: nats.Header{}}
		m.Header.Set(event.HeaderRequest, "not read")
		m.Header.Set(event.HeaderBody, notRead)
		m.Header.Set(event.HeaderReason, cmp.Or(why, given.about))
		k.put(m, given, peer.String())
	}
}

func (k *refusals) allows(given *answer) bool {
	if k.keep == nil {
		return false
	}
	_, now := k.pace.Allow(given.label)
	return now
}

// put queues a message, or drops it where there is no room.
func (k *refusals) put(m *nats.Msg, given *answer, peer string) {
	m.Subject = event.RefusedSubject(k.source, given.label)
	m.Header.Set(event.HeaderSource, k.source)
	m.Header.Set(event.HeaderReceived, time.Now().UTC().Format(time.RFC3339Nano))
	m.Header.Set(event.HeaderAnswer, fmt.Sprintf("%d %s", given.Status, given.Text))
	m.Header.Set(event.HeaderPeer, peer)
	select {
	case k.queue <- m:
	default:
	}
}

func (k *refusals) close() {
	close(k.stop)
	k.done.Wait()
}

const notRead = "not read" // as the state of a body

// captured is a request as a message: what the sender set, what came of the body, and nothing that may be a secret, such
// as a query, a cookie, a password or all of a signature.
func (r *request) captured(h *fasthttp.RequestHeader, signature string) *nats.Msg {
	m := &nats.Msg{Header: nats.Header{}, Data: bytes.Clone(r.body[:min(len(r.body), keptBody)])}
	for _, f := range r.fields[:r.count] {
		value := string(f.value)
		if strings.EqualFold(string(f.key), signature) {
			value = mask.Signature(value)
		}
		m.Header[string(f.key)] = []string{value}
	}
	for _, name := range []string{fasthttp.HeaderContentType, fasthttp.HeaderContentEncoding, fasthttp.HeaderUserAgent} {
		if value := h.Peek(name); len(value) > 0 {
			m.Header[name] = []string{string(value)}
		}
	}
	m.Header.Set(event.HeaderBody, r.stateOfBody())
	m.Header.Set(event.HeaderRequest, r.firstLine(h))
	return m
}

func (r *request) stateOfBody() string {
	switch {
	case r.body == nil && r.length != 0:
		return notRead
	case len(r.body) > keptBody:
		return fmt.Sprintf("cut, %d bytes came", len(r.body))
	}
	return "whole"
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

// tell says why a request is refused or put aside, one line a cause and interval, and keeps some of what became no new
// event.
func (p *Path) tell(r *request, h *fasthttp.RequestHeader, given *answer, took time.Duration) {
	if given == p.answers.ok {
		return
	}
	p.refusals.note(r, h, given, took)
	if r.why == "" { // the log has it where it happened
		return
	}
	if held, ok := p.refused.Allow(given.label); ok {
		p.log.Info("refused", "answer", given.label, "reason", r.why, "peer", r.peer(), "delivery", string(r.delivery[:min(len(r.delivery), shownDelivery)]), "held_back", held)
	}
}

// refuse says why a connection is refused or a delivery put aside, one line a cause and interval.
func (p *Path) refuse(a *answer, why string) *answer {
	p.refused.Info(a.label, "refused", "answer", a.label, "reason", why)
	return a
}
