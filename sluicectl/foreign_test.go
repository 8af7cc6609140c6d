package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

// What somebody else put into the streams is nobody's event, letter or entry: it breaks no command.
func TestForeignMessagesBreakNoCommand(t *testing.T) {
	g := newStage(t)
	g.fill()
	for _, subject := range []string{"events.foo", "dead.foo", "dead.pbx.foo", "retry.foo", "retry.pbx.due.foo", "retry.pbx.wait.foo", "replay.foo", "replay.pbx.foo",
		"quarantine.foo", "quarantine.zorio.late.more", "history.foo", "history.pbx.1", "audit.foo", "audit.dead.drop"} {
		g.publish(&nats.Msg{Subject: subject, Data: []byte("foreign")})
	}
	bucket, err := g.js.KeyValue(t.Context(), stream.Replays)
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range map[string]string{"bad": "{", "worse": `"x"`, "list": `{"id": 5}`} {
		if _, err := bucket.Put(t.Context(), key, []byte(value)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range [][2]string{
		{"trace " + stageDelivery, `pbx: dead-lettered`},
		{"tail --since 1h --count 9", `(?s)#9 .*telesales`},
		{"replay --since 1h -o ndjson", `^(\{.*\}\n){9}$`},
		{"replay --team pbx --since 1h --dry-run", `would replay 6 events`},
		{"replay --url http://x/ --since 1h --dry-run", `would replay 9 events .*; 1 message left out, not an event`},
		{"replay list", `(?s)bad +unreadable.*` + stageReplay + ` +interrupted`},
		{"dead list", `(?s)pbx .*telesales`},
		{"dead list --each", `(?s)pbx .*telesales`},
		{"quarantine list", `(?s)late.*unroutable`},
		{"teams --sample 0", `(?s)pbx .*telesales`},
		{"audit", `dead.drop`},
		{"dead redrive --all --yes", `redrove 5 dead letters`},
		{"quarantine release --reason late --yes", `(?s)stored as.*stored as`},
		{"quarantine drop --all --yes", `removed \d deliver`},
		{"replay stop --purge " + stageReplay, `is stopped`},
	} {
		stdout, stderr, code := g.ctl(t.Context(), "", strings.Fields(c[0])...)
		if code != 0 || !regexp.MustCompile(c[1]).MatchString(stdout+stderr) {
			t.Errorf("%s: exit code %d\n%s%s", c[0], code, stdout, stderr)
		}
	}
}

// Each event without a Nats-Msg-Id is one of its own, and so is each entry in quarantine.
func TestWhatHasNoIdentityIsNotTheSame(t *testing.T) {
	g := newStage(t)
	for range 2 {
		g.publish(&nats.Msg{Subject: event.Subject("zorio", "pbx.call.hangup"), Data: []byte("{}")})
	}
	g.team("pbx", "pbx.>")
	g.letter("pbx", "exhausted", "no such table", 2)
	if stdout, stderr, code := g.ctl(t.Context(), "", "trace", ""); code != exitMisused {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
	for _, body := range []string{`{"event":"pbx.call.hangup","n":1}`, `{"event":"pbx.call.hangup","n":2}`} {
		h := headers("aside-"+body[len(body)-2:len(body)-1], "pbx.call.hangup", []byte(body))
		h.Del(event.HeaderID)
		g.publish(&nats.Msg{Subject: event.QuarantineSubject("zorio", "late"), Header: h, Data: []byte(body)})
	}
	g.publish(&nats.Msg{Subject: event.QuarantineSubject("zorio", "late"), Data: []byte(`{"event":"pbx.call.hangup"}`)})
	stdout, _, code := g.ctl(t.Context(), "", "quarantine", "release", "--all", "--yes")
	if code != exitFailed || strings.Count(stdout, "stored as EVENTS") != 2 || !strings.Contains(stdout, "#3 has no signature") {
		t.Errorf("exit code %d\n%s", code, stdout)
	}
	for sequence, id := range map[uint64]string{3: "aside-1/", 4: "aside-2/"} {
		if e := g.stored(sequence); !strings.HasPrefix(e.Identity, id) {
			t.Errorf("#%d: %+v", sequence, e)
		}
	}
}
