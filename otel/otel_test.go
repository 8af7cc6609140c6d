package otel

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/tracing"
)

// process has the metrics and the log of a tracer.
type process struct {
	tracing.Process
	log                 rig.Buffer
	sent, dropped, lost counter
}

func newProcess() *process {
	p := &process{}
	p.Process = tracing.Process{Name: "sluice-test", Version: "v1", Log: slog.New(slog.NewTextHandler(&p.log, nil)), Sent: &p.sent, Dropped: &p.dropped, Lost: &p.lost}
	return p
}

// counter can be read.
type counter struct {
	prometheus.Counter
	atomic.Int64
}

func (c *counter) Inc()          { c.Int64.Add(1) }
func (c *counter) Add(n float64) { c.Int64.Add(int64(n)) }

func start(t *testing.T, s *tracing.Settings, p *process) tracing.Tracer {
	t.Helper()
	tracer, err := open(s, p.Process)
	if err != nil {
		t.Fatal(err)
	}
	return tracer
}

func record(t tracing.Tracer, count int) (took time.Duration) {
	begin := time.Now()
	for range count {
		tracing.Record(t, tracing.Start{Name: "publish", At: begin}, time.Now(), errors.New("x"), slog.String("a", "b"))
	}
	return time.Since(begin)
}

// A collector that is away, or hangs, costs those who make spans nothing, and the process a line in the log and a metric.
func TestACollectorThatDoesNotAnswerHoldsUpNobody(t *testing.T) {
	for name, listens := range map[string]bool{"away": false, "hangs": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			if listens {
				defer l.Close()
			} else {
				_ = l.Close()
			}
			p := newProcess()
			tracer := start(t, &tracing.Settings{OTLP: "http://" + l.Addr().String()}, p)
			const count = 3 * most
			took := record(tracer, count)
			begin := time.Now()
			tracer.Close()
			if stopped := time.Since(begin); stopped > 20*time.Second { // a second, on a machine that is not busy
				t.Errorf("the stop took %s", stopped)
			}
			dropped, lost := p.dropped.Load(), p.lost.Load()
			t.Logf("%d spans in %s, %v dropped, %v lost", count, took, dropped, lost)
			if dropped == 0 || dropped+lost != count {
				t.Errorf("%v dropped and %v lost of %d", dropped, lost, count)
			}
			if n := strings.Count(p.log.String(), "\n"); n != 1 {
				t.Errorf("%d lines:\n%s", n, p.log.String())
			}
		})
	}
}

// What a collector did not take comes again when it does.
func TestSpansAreSentAgain(t *testing.T) {
	t.Parallel()
	var asked, got atomic.Int64
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		got.Add(int64(spansOf(t, r)))
	}))
	defer collector.Close()
	p := newProcess()
	tracer := start(t, &tracing.Settings{OTLP: collector.URL}, p)
	record(tracer, 10)
	rig.Eventually(t, 30*time.Second, "they are taken", func() bool { return got.Load() == 10 && p.sent.Load() == 10 })
	record(tracer, 5)
	tracer.Close()
	if got.Load() != 15 || p.sent.Load() != 15 {
		t.Errorf("%d, and %v counted: a stop sends what is left", got.Load(), p.sent.Load())
	}
	if log := p.log.String(); strings.Count(log, "\n") != 2 || !strings.Contains(log, "again") {
		t.Errorf("log:\n%s", log)
	}
}

// spansOf counts what a request brings.
func spansOf(t *testing.T, r *http.Request) (spans int) {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err == nil && r.Header.Get("Content-Encoding") == "gzip" {
		var z *gzip.Reader
		if z, err = gzip.NewReader(bytes.NewReader(body)); err == nil {
			body, err = io.ReadAll(z)
		}
	}
	var data tracepb.TracesData
	if err = errors.Join(err, proto.Unmarshal(body, &data)); err != nil {
		t.Error(err)
	}
	for _, of := range data.ResourceSpans {
		for _, scope := range of.ScopeSpans {
			spans += len(scope.Spans)
		}
	}
	return spans
}

// What the standard says about the way to the collector holds.
func TestTheStandardsSettingsHold(t *testing.T) {
	var got atomic.Pointer[http.Request]
	collector := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		spansOf(t, r)
		got.Store(r)
	}))
	defer collector.Close()
	authority := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: collector.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
	t.Setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", authority)
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "X-Scope = b ")
	p := newProcess()
	tracer := start(t, &tracing.Settings{OTLPTraces: collector.URL + "/here", Headers: "authorization=Bearer%20x,x-scope=a"}, p)
	record(tracer, 1)
	tracer.Close()
	r := got.Load()
	if r == nil {
		t.Fatalf("nothing came:\n%s", p.log.String())
	}
	if r.URL.Path != "/here" || r.Header.Get("Authorization") != "Bearer x" || r.Header.Get("X-Scope") != "b" || r.Header.Get("Content-Type") != "application/x-protobuf" {
		t.Errorf("%s %v", r.URL, r.Header)
	}
	t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "soon")
	if _, err := open(&tracing.Settings{OTLP: collector.URL}, p.Process); err == nil || !strings.Contains(err.Error(), "milliseconds") {
		t.Errorf("a wrong time limit: %v", err)
	}
}

func TestTraceparents(t *testing.T) {
	const good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	if c := parse(good); !c.IsValid() || !c.IsSampled() || !c.IsRemote() || format(c) != good {
		t.Errorf("%v is written %s", c, format(c))
	}
	if c := parse(strings.TrimSuffix(good, "1") + "0"); !c.IsValid() || c.IsSampled() {
		t.Errorf("not sampled: %v", c)
	}
	if c := parse("01" + good[2:] + "-more"); !c.IsValid() {
		t.Error("a later version is read as far as it is known")
	}
	for _, bad := range []string{"", "x", good + "-more", "ff" + good[2:], strings.ToUpper(good), strings.ReplaceAll(good, "a", "x"),
		"00-" + strings.Repeat("0", 32) + good[35:], good[:36] + strings.Repeat("0", 16) + good[52:]} {
		if parse(bad).IsValid() {
			t.Errorf("%q is taken for a span", bad)
		}
	}
}

// What a handler's libraries make becomes a part of its attempt.
func TestTheContextIsOpenTelemetrys(t *testing.T) {
	t.Parallel()
	p := newProcess()
	tracer := start(t, &tracing.Settings{OTLP: "http://127.0.0.1:1"}, p)
	defer tracer.Close()
	span := tracer.Start(tracing.Start{Name: "attempt", At: time.Now()})
	ctx := tracing.With(context.Background(), span)
	if got := format(trace.SpanContextFromContext(ctx)); got != span.Traceparent() || got != tracing.Traceparent(ctx) {
		t.Errorf("%s, want %s", got, span.Traceparent())
	}
	span.End(time.Now(), nil)
}
