package ingest

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehq/sluice/gateway/seen"
	"github.com/sluicehq/sluice/gateway/source"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/signature"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

const (
	secret  = "0123456789abcdefghijABCDEFGHIJ01"
	urlPath = "/webhook"
	maxBody = 64 << 10
)

// edge is a path in front of a NATS that acknowledges whatever comes, keeps it for the test, and stores nothing.
type edge struct {
	*Path
	mu   sync.Mutex
	kept []*nats.Msg
}

func startEdge(t testing.TB) *edge {
	t.Helper()
	s, err := server.NewServer(&server.Options{DontListen: true, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	e := &edge{}
	hub := connect(t, s)
	for _, subject := range []string{"events.>", "quarantine.>"} {
		if _, err := hub.Subscribe(subject, e.keep); err != nil {
			t.Fatal(err)
		}
	}
	if err := hub.Flush(); err != nil {
		t.Fatal(err)
	}
	publisher, err := stream.NewPublisher(connect(t, s))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(publisher.Close)
	keys, err := signature.New(secret)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	e.Path = New(Config{Source: source.Zorio, URLPath: urlPath, MaxInflight: 1024, MaxBody: maxBody, MaxBytes: 1 << 30}, keys, nothingSeen{}, publisher,
		&Instruments{Log: log, Refused: telemetry.NewLimiter(log, time.Hour), Registry: prometheus.NewRegistry()})
	t.Cleanup(e.Close)
	return e
}

func connect(t testing.TB, s *server.Server) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect("", nats.InProcessServer(s))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

func (e *edge) keep(m *nats.Msg) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.kept = append(e.kept, m)
	_ = m.Respond(fmt.Appendf(nil, `{"stream":"EVENTS","seq":%d}`, len(e.kept)))
}

// takeKept returns what was published since it was called last.
func (e *edge) takeKept() []*nats.Msg {
	e.mu.Lock()
	defer e.mu.Unlock()
	kept := e.kept
	e.kept = nil
	return kept
}

// nothingSeen remembers nothing: every authentic request is published.
type nothingSeen struct{}

func (nothingSeen) Lacks() bool                                    { return false }
func (nothingSeen) Lookup(context.Context, []string, []bool) error { return nil }
func (nothingSeen) Mark(context.Context, []seen.Mark) error        { return nil }
func (nothingSeen) Missed(time.Time)                               {}
