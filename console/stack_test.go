package main

import (
	"bytes"
	"flag"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/team"
	"github.com/sluicehq/sluice/pkg/zorio"
)

var (
	whole = flag.Bool("whole", false, "the console with a real gateway and consumers, in a browser")
	write = flag.Bool("write", false, "write the screenshots of docs/")
)

// needsReal leaves a test to `make console-test`.
func needsReal(t *testing.T) {
	t.Helper()
	if !*whole && !*write {
		t.Skip("a gateway, consumers and a browser: `make console-test` runs it, which CI does")
	}
}

// stack is a console beside a gateway, with its embedded NATS, and consumers, as `make run` starts them.
type stack struct {
	*stage
	gateway   *rig.Gateway
	consumers map[string]*rig.Process
}

func newStack(t *testing.T, settings Settings, teams ...string) *stack {
	t.Helper()
	g := &stack{gateway: rig.StartGateway(t, rig.Launch{}), consumers: map[string]*rig.Process{}}
	g.gateway.Ready()
	hub := "nats://" + g.gateway.Hub
	for _, name := range teams {
		g.consumers[name] = rig.Start(t, rig.Build(t, "./consumer/"+name), nil, rig.Environment("NATS_URL="+hub, "SLUICE_DATA="+t.TempDir(), "SLUICE_BACKOFF_MIN=10ms", "SLUICE_ATTEMPTS=2"))
	}
	g.stage = stageOn(t, settings, rig.JetStream(t, hub))
	return g
}

// send posts an event to the gateway as Zorio does, and returns the status of the answer.
func (g *stack) send(name, id, secret string, at time.Time, body []byte) int {
	g.t.Helper()
	request, err := http.NewRequest(http.MethodPost, g.gateway.URL(), bytes.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	request.Header = zorio.Headers(secret, name, id, at, body)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		g.t.Fatal(err)
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}

// sample sends a sample of an event.
func (g *stack) sample(name string) {
	g.t.Helper()
	body, known := zorio.Sample(name)
	if !known {
		g.t.Fatalf("there is no sample of %s", name)
	}
	body = append(fmt.Appendf(nil, `{"sent":%d,`, time.Now().UnixNano()), body[bytes.IndexByte(body, '{')+1:]...) // the same bytes again are no new event
	if code := g.send(name, uuid.NewString(), rig.Secret, time.Now(), body); code != http.StatusOK {
		g.t.Fatalf("%s: %d", name, code)
	}
}

// find waits until a team is there.
func (g *stack) find(name string) (t *team.Team) {
	g.t.Helper()
	rig.Eventually(g.t, 30*time.Second, name+" is there", func() bool {
		found, err := team.Find(g.t.Context(), g.js, name)
		t = found
		return err == nil
	})
	return t
}
