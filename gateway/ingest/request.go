package ingest

import (
	"bytes"
	"time"

	"github.com/valyala/fasthttp"
)

// request is what the path reads of an HTTP request. Its slices point into the server's buffers and are good only
// until the handler returns.
type request struct {
	conn *connection
	why  string // it is refused or put aside; empty for one that is not
	torn bool   // its head could not be read: what stands in it is not what came

	timestamp, delivery, signature []byte
	traceparent, encoding          []byte
	length                         int  // of the body in bytes, or chunked
	expects                        bool // what is not to be had
	body                           []byte

	authentic bool          // a secret signed it; what follows is about such a one alone
	stale     bool          // its timestamp is out of tolerance
	age       time.Duration // by that; negative from the future

	fields [maxFields]field // the sender's own headers, in the order they came
	count  int
}

// refuse notes why a request is refused or put aside.
func (r *request) refuse(a *answer, why string) *answer {
	r.why = why
	return a
}

// peer is where it came from.
func (r *request) peer() string {
	if r.conn.sender.IsValid() {
		return r.conn.sender.String()
	}
	return r.conn.RemoteAddr().String()
}

type field struct{ key, value []byte }

// A sender may set so many headers of its own, and so many bytes of what is kept with the event: they are not signed.
// Zorio sets four, of 200 bytes.
const (
	maxFields = 16
	maxKept   = 4 << 10
)

// size is how many bytes of its headers are kept.
func (r *request) size() int {
	size := len(r.traceparent) + len(r.encoding)
	for _, f := range r.fields[:r.count] {
		size += len(f.key) + len(f.value)
	}
	return size
}

// greet judges a request by its head alone, before any of its body is wanted: whether there is a place for it, where
// it goes, and whether two readers could understand it differently.
func (p *Path) greet(r *request, h *fasthttp.RequestHeader) (refusal *answer) {
	length, framed := framing(h.RawHeaders())
	path, ours := pathOf(h.RequestURI(), h.Host())
	if r.length = length; !framed {
		r.length = chunked // where it ends nobody knows
	}
	within := !r.conn.proxied || r.conn.attribute(h)
	switch {
	case !within:
		return r.refuse(p.answers.crowdedByOne, "more concurrent requests from one address, through a trusted proxy, than SLUICE_MAX_CONNECTIONS_PER_IP")
	case p.inside.Load() >= int64(p.MaxInflight):
		return p.overloaded(r)
	case !framed || !ours || !knownVersion(h.Protocol()):
		return p.answerTo(r, errMalformed)
	case string(path) != p.URLPath:
		return r.refuse(p.answers.notFound, "another path than SLUICE_PATH")
	case !h.IsPost():
		return r.refuse(p.answers.wrongMethod, "webhooks come with POST")
	case !p.read(r, h):
		return r.refuse(p.answers.malformed, "ambiguous request: a space in a header's name, a repeated header of the sender's, or a trailer")
	case r.size() > maxKept:
		return r.refuse(p.answers.headerTooLarge, "more than 4 KiB of the sender's own headers, which are kept with the event")
	case r.expects && h.IsHTTP11():
		return r.refuse(p.answers.unexpected, "an expectation other than 100-continue")
	case length > p.MaxBody:
		return p.answerTo(r, errTooLarge)
	case !p.source.Plausible(r.signature): // nothing that may follow could make it authentic
		_, _, stale := p.ageOf(r, time.Now())
		return p.forged(r, stale)
	}
	return nil
}

func (p *Path) overloaded(r *request) *answer {
	return r.refuse(p.answers.overloaded, "more concurrent requests than SLUICE_MAX_INFLIGHT")
}

func knownVersion(v []byte) bool { return string(v) == "HTTP/1.1" || string(v) == "HTTP/1.0" }

// read takes a head apart. It reports false for one that two readers could understand differently: a space in a name, a
// sender's header that comes twice, or any trailer.
func (p *Path) read(r *request, h *fasthttp.RequestHeader) bool {
	for key, value := range h.All() {
		switch {
		case bytes.IndexByte(key, ' ') >= 0: // which NATS could not store, either
			return false
		case hasPrefixFold(key, p.source.HeaderPrefix):
			if !p.take(r, key, value) {
				return false
			}
		case string(key) == fasthttp.HeaderTrailer:
			return false
		case string(key) == "Traceparent":
			r.traceparent = value
		case string(key) == fasthttp.HeaderContentEncoding:
			r.encoding = value
		case string(key) == fasthttp.HeaderExpect:
			r.expects = r.expects || !bytes.EqualFold(value, []byte("100-continue"))
		}
	}
	return true
}

// take notes one of the sender's headers; false when it was there already, or when there are too many.
func (p *Path) take(r *request, key, value []byte) bool {
	if r.count == maxFields {
		return false
	}
	for _, f := range r.fields[:r.count] {
		if bytes.EqualFold(f.key, key) {
			return false
		}
	}
	r.fields[r.count] = field{key, value}
	r.count++
	switch string(key) {
	case p.source.HeaderTimestamp:
		r.timestamp = value
	case p.source.HeaderDelivery:
		r.delivery = value
	case p.source.HeaderSignature:
		r.signature = value
	}
	return true
}

func hasPrefixFold(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && bytes.EqualFold(b[:len(prefix)], []byte(prefix))
}
