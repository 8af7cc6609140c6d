package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/gateway/embedded"
	"github.com/sluicehq/sluice/internal/access"
	"github.com/sluicehq/sluice/internal/ops/audit"
	"github.com/sluicehq/sluice/internal/ops/replay"
	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/inbox"
	"github.com/sluicehq/sluice/pkg/signature"
	"github.com/sluicehq/sluice/pkg/zorio"
)

const (
	stageSecret   = "0123456789abcdefghijABCDEFGHIJ01"
	stageDelivery = "5c3be9d2-0a63-4d3c-8d3c-0f4f0c6f4f55" // of EVENTS #1
	stageReplay   = "20261123-130205-k3f9"
)

// stage is a NATS with something of everything in it: events, two teams, dead letters, entries in quarantine, a replay
// that was interrupted.
type stage struct {
	t    *testing.T
	js   jetstream.JetStream
	data string            // SLUICE_DATA
	env  map[string]string // of the commands
	dir  string            // where they are typed; empty: where the test is
}

// newStage is one whose commands run in this process, with its environment.
func newStage(t *testing.T) *stage {
	t.Helper()
	g := newStageBeside(t)
	for name, value := range g.env {
		t.Setenv(name, value)
	}
	return g
}

// newStageBeside is one whose commands are processes: several may be at the same time.
func newStageBeside(t *testing.T) *stage {
	t.Helper()
	g := &stage{t: t}
	g.js, g.data = hubOf(t, stream.Settings{})
	g.env = map[string]string{"NATS_URL": g.js.Conn().ConnectedUrl(), "NATS_CREDS": "", "REDIS_URL": "", "DATABASE_URL": "", "SLUICE_DATA": g.data,
		secretVariable: stageSecret, secretVariable + "_FILE": "", "SLUICE_ADMIN": "127.0.0.1:1", "SUDO_USER": ""}
	return g
}

// embeddedHub is the NATS of a gateway on this machine with the streams declared, and a connection to it.
func embeddedHub(t *testing.T, s stream.Settings) jetstream.JetStream {
	t.Helper()
	js, data := hubOf(t, s)
	t.Setenv("SLUICE_DATA", data) // where the credentials are found
	t.Setenv("NATS_CREDS", "")
	return js
}

// hubOf is such a NATS, and its data folder.
func hubOf(t *testing.T, s stream.Settings) (js jetstream.JetStream, data string) {
	t.Helper()
	data = t.TempDir()
	server, err := embedded.Start(embedded.Options{Dir: data, Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	rig.Guarded(server.URL(), access.In(data))
	js = rig.JetStream(t, server.URL())
	rig.Declare(t, js, s)
	return js, data
}

// fill puts something of everything into it.
func (g *stage) fill() {
	g.t.Helper()
	for i := range 9 {
		g.event([]string{"pbx.call.hangup", "pbx.call.ringing", "telesales.lead.created"}[i%3])
	}
	g.team("pbx", "pbx.>")
	g.team("telesales", "telesales.>")
	g.handled("pbx", 7, 8)
	g.letter("pbx", "permanent", "no such extension", 1)
	g.letter("pbx", "exhausted", "database is locked", 2)
	g.letter("pbx", "exhausted", "database is locked", 5)
	g.letter("telesales", "permanent", "no lead\x1b[2J", 3)
	g.letter("pbx", "permanent", "no such extension", 4)
	g.aside("late", `{"event":"pbx.call.hangup","data":{"n":1}}`)
	g.aside("unroutable", `[1, 2]`)
	g.aside("late", `{"event":"pbx.call.hangup","data":{"n":3}}`)
	g.aside("unroutable", "\x00\x01")
	g.turnedAway("invalid", "401 Invalid signature", `{"event":"pbx.call.hangup","data":{"n":1}}`)
	g.interrupted()
	g.acted()
}

// acted writes down what an operator did before.
func (g *stage) acted() {
	g.t.Helper()
	for _, e := range []audit.Entry{
		{By: "ops@desk", Action: audit.ReplayStart, Teams: []string{"pbx"}, What: "to pbx, event pbx.>, from 1, to 5", IDs: []string{stageReplay}, Count: 4},
		{By: "ops@desk", Action: audit.DeadDrop, Teams: []string{"telesales"}, What: "team telesales", IDs: []string{"7", "8"}, Count: 2},
	} {
		if err := audit.Record(g.t.Context(), g.js, e); err != nil {
			g.t.Fatal(err)
		}
	}
}

func (g *stage) publish(m *nats.Msg) uint64 {
	g.t.Helper()
	ack, err := g.js.PublishMsg(g.t.Context(), m)
	if err != nil {
		g.t.Fatal(err)
	}
	return ack.Sequence
}

// headers are those of a delivery as the gateway stores it.
func headers(id, name string, body []byte) nats.Header {
	h := nats.Header(zorio.Headers(stageSecret, name, id, time.Now(), body))
	delete(h, "Content-Type")
	h.Set(event.HeaderSource, "zorio")
	h.Set(event.HeaderReceived, time.Now().UTC().Format(time.RFC3339Nano))
	h.Set(event.HeaderID, event.Identity(id, signature.Hex(h.Get(zorio.HeaderSignature))))
	return h
}

func deliveryID(n int) string { return stageDelivery[:len(stageDelivery)-2] + strconv.Itoa(54+n) }

// event stores a sample; the deliveries end in 55, 56, …
func (g *stage) event(name string) {
	g.t.Helper()
	info, err := g.js.Stream(g.t.Context(), stream.Events)
	if err != nil {
		g.t.Fatal(err)
	}
	body, _ := zorio.Sample(name)
	id := deliveryID(int(info.CachedInfo().State.LastSeq) + 1)
	g.publish(&nats.Msg{Subject: event.Subject("zorio", name), Header: headers(id, name, body), Data: body})
}

// team makes the durables that a team's worker makes.
func (g *stage) team(name, pattern string) {
	g.t.Helper()
	for where, filter := range map[string]string{stream.Events: event.Filter(pattern), stream.Retry: event.RetryFilter(name), stream.Replay: event.ReplayFilter(name)} {
		_, err := g.js.CreateConsumer(g.t.Context(), where, jetstream.ConsumerConfig{Durable: name, FilterSubject: filter, AckPolicy: jetstream.AckExplicitPolicy, MaxDeliver: -1})
		if err != nil {
			g.t.Fatal(err)
		}
	}
}

// stored is an event of EVENTS.
func (g *stage) stored(sequence uint64) *event.Event {
	g.t.Helper()
	m, err := stream.Get(g.t.Context(), g.js, stream.Events, sequence)
	if err != nil {
		g.t.Fatal(err)
	}
	e, err := event.Parse(m.Subject, m.Header, m.Data)
	if err != nil {
		g.t.Fatal(err)
	}
	e.Sequence = sequence
	return e
}

// handled puts events into a team's inbox.
func (g *stage) handled(team string, sequences ...uint64) {
	g.t.Helper()
	in, err := inbox.Open(g.t.Context(), team, inbox.Settings{Data: g.data})
	if err != nil {
		g.t.Fatal(err)
	}
	defer in.Close()
	for _, sequence := range sequences {
		err := in.Once(g.t.Context(), g.stored(sequence), func(context.Context, *sql.Tx) error { return nil })
		if err != nil {
			g.t.Fatal(err)
		}
	}
}

// letter is the dead letter of a stored event with two failed attempts. It returns its sequence in DEAD.
func (g *stage) letter(team, reason, cause string, sequence uint64) uint64 {
	g.t.Helper()
	return g.bury(team, reason, cause, g.stored(sequence))
}

// bury is what a team's worker does with an event that it gives up.
func (g *stage) bury(team, reason, cause string, e *event.Event) uint64 {
	g.t.Helper()
	for e.Attempt = 1; e.Attempt < 3; e.Attempt++ {
		e = e.Failed(time.Now(), errors.New(cause))
	}
	e.Attempt = 2
	h := nats.Header(e.Copy())
	for key, value := range map[string]string{event.HeaderTeam: team, event.HeaderReason: reason, event.HeaderError: e.Failures[1].Error,
		event.HeaderFailed: time.Now().UTC().Format(time.RFC3339Nano)} {
		h.Set(key, value)
	}
	return g.publish(&nats.Msg{Subject: event.DeadSubject(team, "zorio", e.Name), Header: h, Data: e.Body})
}

// aside puts a delivery into quarantine.
func (g *stage) aside(reason, body string) {
	g.t.Helper()
	h := headers("aside-"+strconv.Itoa(len(body)), "pbx.call.hangup", []byte(body))
	h.Set(event.HeaderID, signature.Hex(h.Get(zorio.HeaderSignature)))
	g.publish(&nats.Msg{Subject: event.QuarantineSubject("zorio", reason), Header: h, Data: []byte(body)})
}

// turnedAway keeps a request that the gateway refused, although its signature is right now.
func (g *stage) turnedAway(cause, answer, body string) {
	g.t.Helper()
	h := headers("refused", "pbx.call.hangup", []byte(body))
	delete(h, event.HeaderID)
	h.Set(event.HeaderAnswer, answer)
	h.Set(event.HeaderReason, "no secret made this signature")
	h.Set(event.HeaderPeer, "192.0.2.1:50000")
	h.Set(event.HeaderRequest, "POST /webhook HTTP/1.1")
	h.Set(event.HeaderBody, "whole")
	g.publish(&nats.Msg{Subject: event.RefusedSubject("zorio", cause), Header: h, Data: []byte(body)})
}

// interrupted enters a replay that came half-way.
func (g *stage) interrupted() {
	g.t.Helper()
	bucket, err := g.js.KeyValue(g.t.Context(), stream.Replays)
	if err != nil {
		g.t.Fatal(err)
	}
	started := time.Date(2026, 11, 23, 13, 2, 5, 0, time.UTC)
	text, err := json.Marshal(replay.Entry{ID: stageReplay, By: "ops@desk", Started: started, Updated: started, State: replay.Interrupted, Team: "pbx",
		Selection: replay.Selection{Events: []string{"pbx.>"}}, Rate: 200, Events: 4, First: 1, Last: 5, Progress: replay.Progress{Sequence: 2, Replayed: 2}})
	if err != nil {
		g.t.Fatal(err)
	}
	if _, err := bucket.Put(g.t.Context(), stageReplay, text); err != nil {
		g.t.Fatal(err)
	}
}

// captured writes a webhook's headers and body into a folder of its own, where the commands are typed from then on.
func (g *stage) captured() {
	g.t.Helper()
	g.dir = g.t.TempDir()
	body := []byte(`{"event":"pbx.call.hangup"}`)
	var text strings.Builder
	for name, values := range zorio.Headers(stageSecret, "pbx.call.hangup", stageDelivery, time.Date(2026, 1, 31, 8, 0, 0, 0, time.UTC), body) {
		fmt.Fprintf(&text, "%s: %s\r\n", name, values[0])
	}
	for name, content := range map[string][]byte{"headers.txt": []byte(text.String()), "body.json": body} {
		if err := os.WriteFile(filepath.Join(g.dir, name), content, 0o600); err != nil {
			g.t.Fatal(err)
		}
	}
}

// ctl runs a command in this process, with an input, and returns what it prints and its exit code.
func (g *stage) ctl(ctx context.Context, input string, args ...string) (stdout, stderr string, code int) {
	root, reached := newRoot()
	var out, err bytes.Buffer
	root.SetArgs(args)
	root.SetIn(strings.NewReader(input))
	root.SetOut(&out)
	root.SetErr(&err)
	failed := execute(ctx, root, reached)
	if failed != nil {
		fmt.Fprintf(&err, "sluicectl: %v\n", failed)
	}
	return out.String(), err.String(), exitCode(failed, *reached)
}

func (g *stage) messages(name string) uint64 { g.t.Helper(); return rig.Messages(g.t, g.js, name) }
