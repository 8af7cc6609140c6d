package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/mask"
	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/signature"
	"github.com/sluicehq/sluice/pkg/telemetry"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// A secret that was rotated on the sender's side alone: everything is refused, and that does not go unsaid.
func TestARotationOnOneSideIsADegradedGateway(t *testing.T) {
	t.Parallel()
	g := startGateway(t)
	for n := range 60 {
		if got := g.send("pbx.call.hangup", fmt.Sprint(n), body("pbx.call.hangup", n)); got != "200 OK" {
			t.Fatal(got)
		}
	}
	for n := range 60 {
		if got := g.forged(fmt.Sprint("late-", n), body("pbx.call.hangup", n)); got != "401 Invalid signature" {
			t.Fatal(got)
		}
	}
	rig.Eventually(t, 30*time.Second, "the gateway is degraded", func() bool { return g.dependency("sender").Status == telemetry.Degraded })
	const want = "60 failures in a row, the last: Invalid signature: was the secret rotated? At 50 in a row the sender suspends the URL"
	if h := g.dependency("sender"); !strings.HasPrefix(h.Detail, want) || !strings.Contains(h.Remedy, "ZORIO_WEBHOOK_SECRET") {
		t.Errorf("%+v", h)
	}
	g.WaitFor(`"level":"ERROR","msg":"the sender's deliveries fail","source":"zorio"`, 20*time.Second) // of how many depends on when it looked
	g.WaitFor(`"answer":"invalid","reason":"no secret made this signature: compare ZORIO_WEBHOOK_SECRET with the sender's console","peer":"127.0.0.1:`, 20*time.Second)
	g.WaitFor(`"delivery":"late-0"`, 20*time.Second)
	g.send("pbx.call.hangup", "right", body("pbx.call.hangup", 61))
	if h := g.dependency("sender"); h.Status != telemetry.OK || !strings.Contains(h.Detail, "failures in a row: 0 now, 60 at most, at 2") {
		t.Errorf("after a right one: %+v", h)
	}
	g.WaitFor(`"level":"INFO","msg":"the sender's deliveries succeed again","source":"zorio","failures_in_a_row":60`, 20*time.Second)
}

// The last refused requests of each cause are kept to be looked at, without what may be a secret in them.
func TestRefusedRequestsAreKept(t *testing.T) {
	t.Parallel()
	g := startGateway(t)
	send := func(url string, body []byte) {
		t.Helper()
		request, _ := http.NewRequest(http.MethodPost, url, strings.NewReader(string(body)))
		request.Header = zorio.Headers("another secret", "pbx.call.hangup", "id", time.Now(), body)
		for _, name := range []string{"Authorization", "Cookie", "X-Api-Key"} {
			request.Header.Set(name, "hunter2")
		}
		answer, err := g.client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
	}
	large := []byte(strings.Repeat("x", 100_000))
	send(g.url(), large)
	send(g.url()+"2?token=hunter2", []byte("y"))
	for cause, want := range map[string]struct{ answer, line, state, body string }{
		"invalid":   {"401 Invalid signature", "POST /webhook HTTP/1.1", "cut, 100000 bytes came", string(large[:64<<10])},
		"not_found": {"404 Not found", "POST /webhook2 HTTP/1.1", "not read", ""},
	} {
		rig.Eventually(t, 20*time.Second, cause+" is kept", func() bool { return g.kept(cause) == 1 })
		m := g.last("REFUSED", "refused.zorio."+cause)
		got := fmt.Sprint(m.Header.Get(event.HeaderAnswer), m.Header.Get(event.HeaderRequest), m.Header.Get(event.HeaderBody), string(m.Data))
		if got != want.answer+want.line+want.state+want.body || !strings.HasPrefix(m.Header.Get(event.HeaderPeer), "127.0.0.1:") {
			t.Errorf("%s: %.300s", cause, got)
		}
		if text := fmt.Sprint(m.Header); strings.Contains(text, "hunter2") {
			t.Errorf("a secret is kept: %s", text)
		}
	}
	for raw, want := range map[string]struct{ cause, line string }{
		strings.Repeat("A", 5000) + " /webhook HTTP/1.1":    {"wrong_method", strings.Repeat("A", 16) + " /webhook HTTP/1.1"},
		"POST http://u:hunter2@sluice/webhook?a=b HTTP/1.1": {"malformed", "POST sluice/webhook HTTP/1.1"},
		"POST /webhook": {"malformed", "not readable"}, // and not what the HTTP server takes for it
	} {
		rig.Eventually(t, 20*time.Second, fmt.Sprintf("%.50s is kept as %s", raw, want.line), func() bool {
			_, _ = g.begun("127.0.0.1", raw+"\r\nHost: sluice\r\n\r\n").Read(make([]byte, 1)) // it is answered
			return g.kept(want.cause) > 0 && g.last("REFUSED", "refused.zorio."+want.cause).Header.Get(event.HeaderRequest) == want.line
		})
	}
	if m := g.last("REFUSED", "refused.zorio.invalid"); m.Header.Get(zorio.HeaderSignature) != mask.Signature(signature.Sign("another secret", large)) || m.Header.Get(zorio.HeaderDelivery) != "id" {
		t.Errorf("kept are %v", m.Header)
	}
	begin := time.Now()
	for n := range 300 {
		g.forged(fmt.Sprint(n), []byte("z"))
	}
	if most := uint64(time.Since(begin)/(500*time.Millisecond)) + 3; g.kept("invalid") > most {
		t.Errorf("a flood is kept: %d, want %d at most", g.kept("invalid"), most)
	}
}

// kept counts the requests that are kept of a cause.
func (g *gateway) kept(cause string) uint64 {
	g.t.Helper()
	s, err := g.js("nats://"+g.hub).Stream(g.t.Context(), "REFUSED")
	if err != nil {
		g.t.Fatal(err)
	}
	subject := event.RefusedSubject("zorio", cause)
	info, err := s.Info(g.t.Context(), jetstream.WithSubjectFilter(subject))
	if err != nil {
		g.t.Fatal(err)
	}
	return info.State.Subjects[subject]
}
