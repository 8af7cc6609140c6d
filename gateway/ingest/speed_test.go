package ingest

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/internal/tracing"
	_ "github.com/sluicehq/sluice/otel"
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

// BenchmarkRefused is a request with a wrong signature, from the connection's bytes to the answer's: where some are kept
// in a NATS, and where none are. A flood is the same with either.
func BenchmarkRefused(b *testing.B) {
	text := fill([]byte("POST /webhook HTTP/1.1\r\n{H}Content-Type: application/json; charset=utf-8\r\nContent-Length: 512\r\n\r\n"), nil)
	text = append(text, make([]byte, 512)...)
	js := rig.Hub(b, stream.Settings{})
	for name, keep := range map[string]func(*nats.Msg) error{"kept": js.Conn().PublishMsg, "not kept": nil} {
		b.Run(name, func(b *testing.B) {
			e := startEdge(b)
			e.refusals.close()
			e.refusals = newRefusals(e.source, keep)
			e.serve(b, text)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "refusals/s")
		})
	}
}

// BenchmarkStored is a request that is published, one after the other, to a NATS that acknowledges at once.
func BenchmarkStored(b *testing.B) { serve(b, storable()) }

// BenchmarkTraced is BenchmarkStored with each request traced, or one in a hundred. The collector takes what it gets.
func BenchmarkTraced(b *testing.B) {
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	defer collector.Close()
	b.Setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
	for _, share := range []string{"1", "0.01"} {
		b.Run(share, func(b *testing.B) {
			b.Setenv("OTEL_TRACES_SAMPLER_ARG", share)
			tracer, err := tracing.Open(&tracing.Settings{OTLP: collector.URL}, tracing.Process{Log: slog.New(slog.DiscardHandler)}, prometheus.NewRegistry())
			if err != nil {
				b.Fatal(err)
			}
			defer tracer.Close()
			e := startEdge(b)
			e.tracer = tracer
			e.serve(b, storable())
		})
	}
}

// storable is the text of a request that is published.
func storable() []byte {
	body := make([]byte, 512)
	copy(body, `{"event":"pbx.call.hangup","data":"`)
	for i := 35; i < len(body); i++ {
		body[i] = 'x'
	}
	copy(body[len(body)-2:], `"}`)
	return fill([]byte("POST /webhook HTTP/1.1\r\n{H}Content-Type: application/json; charset=utf-8\r\nContent-Length: {L}\r\n\r\n{B}"), body)
}

func serve(b *testing.B, request []byte) { startEdge(b).serve(b, request) }

func (e *edge) serve(b *testing.B, request []byte) {
	server := e.Server(Limits{})
	b.ReportAllocs()
	b.ResetTimer()
	conn := &treadmill{text: request, left: b.N}
	_ = server.ServeConn(taken(e, conn))
}
