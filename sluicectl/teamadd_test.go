package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/access"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

// A team comes and goes without a restart, with everything that is its own.
func TestATeamIsAddedListedAndRemovedWithAllThatIsItsOwn(t *testing.T) {
	g := newStage(t)
	folder := access.In(dataFolder())
	expect := func(code int, want string, args ...string) {
		t.Helper()
		stdout, stderr, got := g.ctl(t.Context(), "", args...)
		if got != code || !strings.Contains(stdout+stderr, want) {
			t.Errorf("%v: %d %s%s, want %d %s", args, got, stdout, stderr, code, want)
		}
	}
	expect(3, "no team has an account", "team", "list")
	expect(0, "billing: NATS lets it in", "team", "add", "billing", "--events", "pbx.call.hangup")
	expect(0, "forward: NATS lets it in", "team", "add", "forward", "--target", "crm", "--target", "erp=pbx.>,autocall.>")
	expect(2, "one at a time", "team", "add", "a", "b", "--events", "x")
	expect(2, "cannot name a consumer", "team", "add", "a.b")
	expect(2, "is not a pattern", "team", "add", "a", "--events", "x..y")
	expect(1, "cannot be named operator", "team", "add", "operator", "--files")
	for _, want := range []string{"billing      billing  no process", "forward-crm  forward  no process", "forward-erp  forward  no process  pbx.> autocall.>"} {
		expect(0, want, "team", "list")
	}

	g.event("pbx.call.hangup")
	g.letter("billing", "permanent", "no", 1)
	g.letter("forward-crm", "permanent", "no", 1)
	if _, err := g.js.Publish(t.Context(), event.AgainWaitSubject("billing", "x"), nil); err != nil {
		t.Fatal(err)
	}
	expect(1, "1 event that it has not processed, 1 that wait for a retry and 0 replayed are not given to it any more; 1 dead letter", "team", "remove", "billing")
	expect(0, "its account and its credentials", "team", "remove", "billing", "--yes")
	expect(0, "forward-crm is removed", "team", "remove", "forward-crm", "--yes")
	if teams, err := folder.Teams(); err != nil || len(teams) != 1 || len(teams[0].Places) != 1 {
		t.Errorf("%+v, %v", teams, err)
	}
	if _, err := os.Stat(folder.Seed("billing")); !os.IsNotExist(err) {
		t.Error("the credentials stay")
	}
	if _, err := g.js.Stream(t.Context(), stream.RetryOf("billing")); err == nil || g.messages(stream.Dead) != 0 {
		t.Errorf("its retries or dead letters stay: %v, %d", err, g.messages(stream.Dead))
	}

	_, err := g.js.CreateConsumer(t.Context(), stream.Events, jetstream.ConsumerConfig{Durable: "forward-old", FilterSubject: event.Filter(">"), AckPolicy: jetstream.AckExplicitPolicy})
	if err != nil {
		t.Fatal(err)
	}
	expect(0, "forward-old has neither an account nor a process", "team", "list")
	if err := g.js.DeleteConsumer(t.Context(), stream.Events, "forward-erp"); err != nil {
		t.Fatal(err)
	}
	expect(0, "forward-erp  forward  missing", "team", "list")
	expect(0, "forward-erp: takes pbx.> autocall.>", "team", "sync")
	expect(0, "forward is removed", "team", "remove", "forward", "--yes")
}

// Keys that are made where no gateway has its own would let nobody in, and be found by every process that starts there.
func TestATeamIsNotAddedWhereNoGatewayHasItsAccounts(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "nats")
	root, reached := newRoot()
	root.SetArgs([]string{"team", "add", "billing", "--folder", folder})
	err := execute(t.Context(), root, reached)
	if err == nil || !strings.Contains(err.Error(), "no accounts are in "+folder) || !strings.Contains(err.Error(), "SLUICE_DATA") {
		t.Error(err)
	}
	if _, err := os.Stat(folder); !os.IsNotExist(err) {
		t.Error("it wrote files there")
	}
}
