package ingest

import (
	"io"
	"net/netip"
	"testing"
)

// treadmill is a connection whose other end sends the same request again and again.
type treadmill struct {
	wire
	text []byte
	left int
}

func (t *treadmill) Read(p []byte) (int, error) {
	if t.left--; t.left < 0 {
		return 0, io.EOF
	}
	return copy(p, t.text), nil
}

func (t *treadmill) Write(p []byte) (int, error) { return len(p), nil }

// BenchmarkRefused is a request with a wrong signature, from the connection's bytes to the answer's.
func BenchmarkRefused(b *testing.B) {
	text := fill([]byte("POST /webhook HTTP/1.1\r\n{H}Content-Type: application/json; charset=utf-8\r\nContent-Length: 512\r\n\r\n"), nil)
	serve(b, append(text, make([]byte, 512)...))
}

// BenchmarkStored is a request that is published, one after the other, to a NATS that acknowledges at once.
func BenchmarkStored(b *testing.B) {
	body := make([]byte, 512)
	copy(body, `{"event":"pbx.call.hangup","data":"`)
	for i := 35; i < len(body); i++ {
		body[i] = 'x'
	}
	copy(body[len(body)-2:], `"}`)
	serve(b, fill([]byte("POST /webhook HTTP/1.1\r\n{H}Content-Type: application/json; charset=utf-8\r\nContent-Length: {L}\r\n\r\n{B}"), body))
}

func serve(b *testing.B, request []byte) {
	e := startEdge(b)
	server := e.Server(Limits{})
	b.ReportAllocs()
	b.ResetTimer()
	conn := &treadmill{text: request, left: b.N}
	_ = server.ServeConn(e.connection(conn, e.newPeer(netip.Addr{}), e.gate(nil)))
}
