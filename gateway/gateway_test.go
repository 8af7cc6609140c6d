package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/pkg/telemetry"
	"github.com/sluicehq/sluice/pkg/zorio"
)

const secret = "0123456789abcdefghijABCDEFGHIJ01"

func TestMain(m *testing.M) { os.Exit(rig.Main(m)) }

// gateway is the real binary with real settings.
type gateway struct {
	*rig.Process
	t                   testing.TB
	address, admin, hub string
	data                string
	secured             bool // it takes HTTPS
	client              *http.Client
}

// startGateway starts it with an embedded NATS and no Redis, unless the settings say otherwise, and waits until it is
// ready.
func startGateway(t testing.TB, settings ...string) *gateway {
	t.Helper()
	g := beginGateway(t, settings...)
	g.ready()
	return g
}

// beginGateway starts it and does not wait.
func beginGateway(t testing.TB, settings ...string) *gateway {
	t.Helper()
	return beginGatewayBy(t, rig.Build(t, "./gateway"), nil, settings...)
}

// beginGatewayBy starts it by a program that becomes it, and does not wait.
func beginGatewayBy(t testing.TB, program string, args []string, settings ...string) *gateway {
	t.Helper()
	g := &gateway{t: t, address: rig.Address(t), admin: rig.Address(t), hub: rig.Address(t), data: t.TempDir(), client: &http.Client{Timeout: 10 * time.Second}}
	environment := append([]string{
		"ZORIO_WEBHOOK_SECRET=" + secret, "SLUICE_LISTEN=" + g.address, "SLUICE_ADMIN=" + g.admin, "SLUICE_HUB_LISTEN=" + g.hub,
		"SLUICE_DATA=" + g.data,
	}, settings...)
	g.Process = rig.Start(t, program, args, rig.Environment(environment...))
	t.Cleanup(g.client.CloseIdleConnections)
	return g
}

func (g *gateway) ready() {
	g.t.Helper()
	g.Listening(g.admin)
	rig.Eventually(g.t, time.Minute, "the gateway is ready", func() bool {
		if !g.Running() {
			g.t.Fatalf("the gateway has ended:\n%s", g.Output())
		}
		answer, err := g.client.Get("http://" + g.admin + "/readyz")
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		var told telemetry.Readiness
		if err := json.NewDecoder(answer.Body).Decode(&told); err != nil {
			return false
		}
		return answer.StatusCode == http.StatusOK && slices.ContainsFunc(told.Dependencies, func(d telemetry.Dependency) bool {
			return d.Name == "nats" && d.Status == telemetry.OK
		})
	})
}

// drained waits until what the journal has kept is in NATS; a gateway that has ended has seen to it.
func (g *gateway) drained() {
	g.t.Helper()
	rig.Eventually(g.t, 90*time.Second, "the journal is drained", func() bool {
		answer, err := http.Get("http://" + g.admin + "/metrics")
		if err != nil {
			return !g.Running()
		}
		defer answer.Body.Close()
		told, err := io.ReadAll(answer.Body)
		return err == nil && (bytes.Contains(told, []byte("\nsluice_journal_deliveries 0\n")) || !bytes.Contains(told, []byte("\nsluice_journal_deliveries ")))
	})
}

func (g *gateway) url() string {
	if g.secured {
		return "https://" + g.address + "/webhook"
	}
	return "http://" + g.address + "/webhook"
}

func (g *gateway) js(url string) jetstream.JetStream {
	g.t.Helper()
	return rig.JetStream(g.t, url)
}

// last is the newest message on a subject.
func (g *gateway) last(streamName, subject string) *jetstream.RawStreamMsg {
	g.t.Helper()
	g.drained()
	s, err := g.js("nats://"+g.hub).Stream(g.t.Context(), streamName)
	if err != nil {
		g.t.Fatal(err)
	}
	m, err := s.GetLastMsgForSubject(g.t.Context(), subject)
	if err != nil {
		g.t.Fatalf("%s %s: %v", streamName, subject, err)
	}
	return m
}

func (g *gateway) count(streamName string) uint64 {
	g.t.Helper()
	g.drained()
	s, err := g.js("nats://"+g.hub).Stream(g.t.Context(), streamName)
	if err != nil {
		g.t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

// post sends a request and returns the answer as "status text".
func (g *gateway) post(header http.Header, body []byte) string {
	g.t.Helper()
	answer, err := g.try(header, body)
	if err != nil {
		g.t.Fatal(err)
	}
	return answer
}

// try is post where no answer may come.
func (g *gateway) try(header http.Header, body []byte) (string, error) {
	request, _ := http.NewRequest(http.MethodPost, g.url(), bytes.NewReader(body))
	request.Header = header
	answer, err := g.client.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return fmt.Sprint(answer.StatusCode, " ", string(text)), err
}

func (g *gateway) send(event, delivery string, body []byte) string {
	g.t.Helper()
	return g.post(zorio.Headers(secret, event, delivery, time.Now(), body), body)
}

// raw sends bytes as they are and returns the first answer.
func (g *gateway) raw(text string) (status string, body string) {
	g.t.Helper()
	conn, err := net.Dial("tcp", g.address)
	if err != nil {
		g.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(15 * time.Second))
	if _, err := io.WriteString(conn, text); err != nil {
		g.t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return "closed", ""
	}
	defer answer.Body.Close()
	all, _ := io.ReadAll(answer.Body)
	return fmt.Sprint(answer.StatusCode), string(all)
}

func body(event string, n int) []byte {
	return fmt.Appendf(nil, `{"event":%q,"timestamp":"2026-11-23T03:30:00Z","data":{"call_uuid":"%d"}}`, event, n)
}

func (g *gateway) metrics() string {
	g.t.Helper()
	answer, err := g.client.Get("http://" + g.admin + "/metrics")
	if err != nil {
		g.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	return string(text)
}

func (g *gateway) metric(line string) bool { g.t.Helper(); return strings.Contains(g.metrics(), line) }

// value is that of one series, named with its labels.
func (g *gateway) value(series string) float64 {
	g.t.Helper()
	for line := range strings.Lines(g.metrics()) {
		if text, found := strings.CutPrefix(line, series+" "); found {
			value, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil {
				g.t.Fatal(err)
			}
			return value
		}
	}
	g.t.Fatalf("no metric %s", series)
	return 0
}

// startRemembering is a gateway beside a NATS of its own, which remembers deliveries in "Redis" or in "memory".
func startRemembering(t *testing.T, memory string, settings ...string) (*gateway, *rig.Nats) {
	t.Helper()
	nats := rig.StartNats(t, "")
	settings = append(settings, "NATS_URL="+nats.URL(), "SLUICE_NATS_MONITOR=http://"+nats.Monitor)
	if memory == "Redis" {
		settings = append(settings, "REDIS_URL="+rig.StartRedis(t).URL())
	}
	return startGateway(t, settings...), nats
}
