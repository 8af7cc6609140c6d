package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/tracing"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/telemetry"
	"github.com/sluicehq/sluice/pkg/worker"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// traced is a gateway, a team and a NATS of their own, and the collector that gets the traces of both.
type traced struct {
	*gateway
	nats      *rig.Nats
	collector *rig.Collector
}

func startTraced(t *testing.T, settings ...string) *traced {
	t.Helper()
	s := &traced{nats: rig.StartNats(t, ""), collector: rig.StartCollector(t)}
	s.gateway = startGateway(t, append(settings, "NATS_URL="+s.nats.URL(), "SLUICE_NATS_MONITOR=http://"+s.nats.Monitor, "OTEL_EXPORTER_OTLP_ENDPOINT="+s.collector.URL())...)
	return s
}

// work runs a team, whose handler does what an event's delivery says, until the test ends.
func (s *traced) work() {
	s.t.Helper()
	var log rig.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	tracer, err := tracing.Open(&tracing.Settings{OTLP: s.collector.URL(), Service: "team"}, tracing.Process{Log: logger}, prometheus.NewRegistry())
	if err != nil {
		s.t.Fatal(err)
	}
	admin, err := telemetry.NewAdmin("team", "", "")
	if err != nil {
		s.t.Fatal(err)
	}
	host := worker.Host{Log: logger, Admin: admin, Tracer: tracer, Settings: worker.Settings{
		Common: worker.Common{NATSURL: s.nats.URL()}, Concurrency: 4, Timeout: time.Minute, Attempts: 3, BackoffMin: 10 * time.Millisecond, BackoffMax: 20 * time.Millisecond,
	}}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := host.Run(ctx, worker.Team{Name: "team"}, handleByDelivery); err != nil {
			s.t.Error(err)
		}
	})
	s.t.Cleanup(func() { stop(); running.Wait(); tracer.Close() })
}

func handleByDelivery(ctx context.Context, e *event.Event) error {
	switch {
	case tracing.Traceparent(ctx) == "":
		return worker.Permanent(errors.New("no span in the handler's context"))
	case e.Delivery == "retried" && e.Attempt == 1:
		return errors.New("not yet")
	case e.Delivery == "given-up":
		return worker.Permanent(errors.New("never"))
	}
	return nil
}

// trace is the id of the trace that a delivery was received in; the last of several.
func (s *traced) trace(delivery, answer string) (id string) {
	for _, span := range s.collector.Spans() {
		if span.Name == "receive" && span.Attributes["sluice.delivery"] == delivery && span.Attributes["sluice.answer"] == answer {
			id = span.Trace
		}
	}
	return id
}

// expect waits for a tree.
func (s *traced) expect(what string, trace func() string, want string) {
	s.t.Helper()
	want = strings.TrimPrefix(want, "\n")
	var got string
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if got = rig.Tree(s.collector.Spans(), trace(), toldOf); strings.Replace(got, known, "", 1) == want {
			return
		}
	}
	s.t.Errorf("%s:\n%s, want\n%s", what, got, want)
}

func (s *traced) expectOf(delivery, answer, want string) {
	s.t.Helper()
	s.expect(delivery, func() string { return s.trace(delivery, answer) }, want)
}

// known is the line about a duplicate that NATS recognised, because the gateway's memory did not know it yet.
const known = "  publish sluice-gateway Producer duplicate=true\n"

func toldOf(s rig.Span) string {
	words := []string{s.Service, s.Kind}
	for _, key := range []string{"sluice.answer", "sluice.from_journal", "sluice.attempt", "sluice.outcome", "sluice.reason"} {
		if value, told := s.Attributes[key]; told {
			words = append(words, strings.TrimPrefix(key, "sluice.")+"="+fmt.Sprint(value))
		}
	}
	if s.Attributes["sluice.duplicate"] == true {
		words = append(words, "duplicate=true")
	}
	if s.Error != "" {
		words = append(words, "error="+s.Error)
	}
	return strings.Join(words, " ")
}

// One trace goes from the request through the journal and the stream to each attempt of a team.
func TestOneTraceFollowsAnEvent(t *testing.T) {
	t.Parallel()
	s := startTraced(t)
	s.work()
	for _, delivery := range []string{"accepted", "accepted", "retried", "given-up"} {
		s.send("pbx.call.hangup", delivery, body("pbx.call.hangup", len(delivery)))
	}
	const received = "receive sluice-gateway Server answer=ok\n  publish sluice-gateway Producer\n"
	s.expectOf("accepted", "ok", received+"  attempt team Consumer attempt=1 outcome=processed\n")
	s.expectOf("accepted", "duplicate", "receive sluice-gateway Server answer=duplicate\n")
	s.expectOf("retried", "ok", received+"  attempt team Consumer attempt=1 outcome=failed error=not yet\n  attempt team Consumer attempt=2 outcome=processed\n")
	s.expectOf("given-up", "ok", received+"  attempt team Consumer attempt=1 outcome=dead error=never\n    dead-letter team Producer reason=permanent\n")

	s.nats.Kill()
	if answer := s.send("pbx.call.hangup", "spilled", body("pbx.call.hangup", 99)); answer != "200 OK" {
		t.Fatalf("answered %s", answer)
	}
	s.nats.Restart()
	s.expect("spilled", func() string { return s.trace("spilled", "ok") },
		"receive sluice-gateway Server answer=ok\n"+s.givenUp("spilled")+"  journal sluice-gateway Internal\n"+
			"  publish sluice-gateway Producer from_journal=true\n  attempt team Consumer attempt=1 outcome=processed\n")

	for _, delivery := range []string{"accepted", "retried"} {
		s.replay(delivery)
	}
	s.expect("replay of accepted", func() string { return s.linked("accepted") }, "attempt team Consumer attempt=1 outcome=processed\n")
	s.expect("replay of retried", func() string { return s.linked("retried") },
		"attempt team Consumer attempt=1 outcome=failed error=not yet\n  attempt team Consumer attempt=2 outcome=processed\n")
}

// givenUp is the line about a publish that NATS did not acknowledge: it is there where the gateway did not know yet that
// NATS is away.
func (s *traced) givenUp(delivery string) string {
	trace := ""
	rig.Eventually(s.t, 30*time.Second, delivery+" is traced", func() bool { trace = s.trace(delivery, "ok"); return trace != "" })
	for _, span := range s.collector.Spans() {
		if span.Trace == trace && span.Name == "publish" && span.Error != "" {
			return "  publish " + toldOf(span) + "\n"
		}
	}
	return ""
}

func (s *traced) replay(delivery string) {
	s.t.Helper()
	command := exec.Command(rig.Build(s.t, "./sluicectl"), "replay", "--team", "team", "--delivery", delivery, "--yes")
	command.Env = rig.Environment("NATS_URL=" + s.nats.URL())
	if output, err := command.CombinedOutput(); err != nil {
		s.t.Fatalf("%v\n%s", err, output)
	}
}

// linked is the trace of a replay, which has a link to that of the delivery.
func (s *traced) linked(delivery string) string {
	spans, from := s.collector.Spans(), s.trace(delivery, "ok")
	if i := slices.IndexFunc(spans, func(span rig.Span) bool { return slices.Contains(span.Links, from) }); i >= 0 {
		return spans[i].Trace
	}
	return ""
}

// Whoever sends names a trace that nobody has signed: it is linked, or where the deployment trusts it, continued.
func TestTheSendersTraceIsLinkedUnlessTrusted(t *testing.T) {
	const trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	for trusted, setting := range map[bool]string{false: "SLUICE_TRUST_TRACEPARENT=false", true: "SLUICE_TRUST_TRACEPARENT=true"} {
		t.Run(setting, func(t *testing.T) {
			t.Parallel()
			s := startTraced(t, setting)
			b := body("pbx.call.hangup", 1)
			h := zorio.Headers(secret, "pbx.call.hangup", "sent", time.Now(), b)
			h.Set("Traceparent", "00-"+trace+"-"+parent+"-01")
			s.post(h, b)
			s.post(http.Header{"X-Zorio-Signature": {"sha256=" + strings.Repeat("0", 64)}, "Traceparent": h["Traceparent"]}, b)
			rig.Eventually(t, 30*time.Second, "it is traced", func() bool { return s.trace("sent", "ok") != "" })
			spans := s.collector.Spans()
			i := slices.IndexFunc(spans, func(s rig.Span) bool { return s.Name == "receive" })
			if got := spans[i]; trusted != (got.Trace == trace && got.Parent == parent) || trusted == slices.Contains(got.Links, trace) {
				t.Errorf("received in %+v", got)
			}
			kept := s.js(s.nats.URL())
			stored, err := kept.Stream(t.Context(), "EVENTS")
			if err != nil {
				t.Fatal(err)
			}
			m, err := stored.GetMsg(t.Context(), 1)
			if err != nil || m.Header.Get(event.HeaderTraceparent) != "00-"+spans[i].Trace+"-"+spans[i].ID+"-01" {
				t.Errorf("stored with %q (%v)", m.Header.Get(event.HeaderTraceparent), err)
			}
			for _, span := range spans {
				if span.Attributes["sluice.answer"] == "invalid" {
					t.Error("a request that nobody signed is traced")
				}
			}
		})
	}
}
