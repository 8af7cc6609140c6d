package ingest

import (
	"bytes"

	"github.com/valyala/fasthttp"
)

// request is what the path reads of an HTTP request. Its slices point into the server's buffers and are good only
// until the handler returns.
type request struct {
	timestamp, delivery, signature []byte
	traceparent, encoding          []byte
	body                           []byte

	fields [maxFields]field // the sender's own headers, in the order they came
	count  int
}

type field struct{ key, value []byte }

// maxFields bounds how many headers of its own a sender may set; Zorio sets four.
const maxFields = 16

// read takes a request apart. It reports false for one that two readers could understand differently: a sender's
// header that comes twice, any trailer, or Transfer-Encoding beside Content-Length.
func (p *Path) read(r *request, in *fasthttp.Request) bool {
	if framedTwice(&in.Header) {
		return false
	}
	for key, value := range in.Header.All() {
		switch {
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
		}
	}
	r.body = in.Body()
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

// framedTwice reports Transfer-Encoding together with Content-Length, which fasthttp accepts (chunked wins) and a
// proxy in front may read the other way round. It closes such connections, which makes this look cheap.
func framedTwice(h *fasthttp.RequestHeader) bool {
	return h.ConnectionClose() && hasLine(h.RawHeaders(), "transfer-encoding:") && hasLine(h.RawHeaders(), "content-length:")
}

func hasLine(raw []byte, name string) bool {
	for line := range bytes.Lines(raw) {
		if hasPrefixFold(line, name) {
			return true
		}
	}
	return false
}

func hasPrefixFold(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && bytes.EqualFold(b[:len(prefix)], []byte(prefix))
}
