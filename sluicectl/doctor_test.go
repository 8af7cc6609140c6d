package main

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/ops/doctor"
	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/secure"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

// examine returns the findings as lines: level, check, detail, remedy.
func examine(t *testing.T, o doctor.Options) string {
	t.Helper()
	if o.Data == "" {
		o.Data = t.TempDir()
	}
	var text strings.Builder
	for _, f := range doctor.Examine(t.Context(), o) {
		text.WriteString(string(f.Level) + " " + f.Check + " " + f.Detail + " → " + f.Remedy + "\n")
		if f.Level != "ok" && f.Remedy == "" {
			t.Errorf("%s: %s has no remedy", f.Check, f.Detail)
		}
	}
	return text.String()
}

func expect(t *testing.T, text string, wanted ...string) {
	t.Helper()
	for _, want := range wanted {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

func TestWithoutNATSTheRestIsExaminedAllTheSame(t *testing.T) {
	text := examine(t, doctor.Options{NATSURL: "nats://127.0.0.1:1", Redis: redisAt("redis://127.0.0.1:1", secure.Files{}), Data: "/no/such/folder"})
	expect(t, text, "fail nats NATS is not reachable", "fail redis ", "start Redis", "ok disk /no/such/folder does not exist", "warn settings the gateway binary is neither beside")
}

func TestAHealthyDeployment(t *testing.T) {
	js := embeddedHub(t, stream.Settings{})
	for _, name := range []string{stream.Events, stream.Replay} {
		if _, err := js.CreateConsumer(t.Context(), name, jetstream.ConsumerConfig{Durable: "pbx", AckPolicy: jetstream.AckExplicitPolicy}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := js.CreateConsumer(t.Context(), stream.Events, jetstream.ConsumerConfig{Durable: "archive", AckPolicy: jetstream.AckExplicitPolicy}); err != nil {
		t.Fatal(err) // it reads no other stream
	}
	redis := rig.StartRedis(t, "--maxmemory-policy", "volatile-ttl")
	t.Setenv("ZORIO_WEBHOOK_SECRET", "0123456789abcdefghijABCDEFGHIJ01")
	text := examine(t, doctor.Options{NATSURL: js.Conn().ConnectedUrl(), Redis: redisAt(redis.URL(), secure.Files{}), Gateway: rig.Build(t, "./gateway")})
	// The disk is that of the tests' machine, which may be nearly full.
	expect(t, text, "ok settings", " disk ", "ok redis", "ok nats", "ok jetstream", "ok streams EVENTS 0", "ok clock", "ok permissions", "ok teams archive, pbx")
	if strings.Contains(text, "fail") {
		t.Error(text)
	}
	for _, name := range []string{stream.Events, stream.Quarantine, stream.Dead, stream.Retry, stream.Replay, stream.Begun, stream.History, stream.Audit} { // it changed nothing
		if s, err := js.Stream(t.Context(), name); err != nil || s.CachedInfo().State.LastSeq != 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEachComplaintHasARemedy(t *testing.T) {
	js := embeddedHub(t, stream.Settings{MaxAge: time.Hour})
	for _, name := range []string{"pbx", "late"} {
		if _, err := js.CreateConsumer(t.Context(), stream.Events, jetstream.ConsumerConfig{Durable: name, AckPolicy: jetstream.AckExplicitPolicy}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: event.Subject("zorio", "pbx.call.hangup")}); err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(t.Context(), stream.Quarantine); err != nil {
		t.Fatal(err)
	}
	redis := rig.StartRedis(t, "--maxmemory-policy", "allkeys-lru")
	t.Setenv("ZORIO_WEBHOOK_SECRET", "")
	t.Setenv("SLUICE_LISTN", ":3000")
	text := examine(t, doctor.Options{NATSURL: js.Conn().ConnectedUrl(), Redis: redisAt(redis.URL(), secure.Files{}), Gateway: rig.Build(t, "./gateway")})
	expect(t, text, "fail settings ZORIO_WEBHOOK_SECRET is not set", "warn redis maxmemory-policy is allkeys-lru", "fail streams QUARANTINE",
		"fail permissions cannot publish to quarantine.doctor.probe", "fail teams late: retention drops the first of 1 pending events in")
}

func TestAServerThatDoesNotSync(t *testing.T) {
	server := rig.StartNats(t, "")
	text := examine(t, doctor.Options{NATSURL: server.URL(), Monitor: "http://" + server.Monitor})
	expect(t, text, "fail streams EVENTS", "start a gateway")
	server.Declared()
	text = examine(t, doctor.Options{NATSURL: server.URL(), Monitor: "http://" + server.Monitor})
	expect(t, text, "ok durability synced on the disk of one server")
	text = examine(t, doctor.Options{NATSURL: server.URL(), Monitor: "http://127.0.0.1:1"})
	expect(t, text, "warn durability unknown: cannot ask NATS whether it syncs every write: http://127.0.0.1:1", "set SLUICE_NATS_MONITOR")
	server.Kill()
	server.AsItComes()
	server.Restart()
	text = examine(t, doctor.Options{NATSURL: server.URL(), Monitor: "http://" + server.Monitor})
	expect(t, text, "warn durability in memory of one server until it syncs: a power cut loses the last 2 minutes", "set sync_interval: always", "warn nats max_payload is 1048576 bytes")
}

// What a gateway says of itself is passed on.
func TestAGatewayThatRunsIsAsked(t *testing.T) {
	t.Parallel()
	admin := rig.Address(t)
	rig.Start(t, rig.Build(t, "./gateway"), nil, rig.Environment("ZORIO_WEBHOOK_SECRET=0123456789abcdefghijABCDEFGHIJ01", "SLUICE_LISTEN="+rig.Address(t),
		"SLUICE_ADMIN="+admin, "SLUICE_HUB_LISTEN="+rig.Address(t), "SLUICE_DATA="+t.TempDir(), "REDIS_URL=redis://127.0.0.1:1")).Listening(admin)
	var text string
	rig.Eventually(t, 20*time.Second, "the gateway says what a 200 is worth", func() bool {
		text = examine(t, doctor.Options{Admin: admin, NATSURL: "nats://127.0.0.1:1"})
		return strings.Contains(text, "ok gateway durability: synced on this disk") && strings.Contains(text, "gateway redis: ")
	})
	expect(t, text, "ok gateway it is degraded", "ok gateway sender: failures in a row: 0 now", "warn gateway redis: ", "start Redis")
	expect(t, examine(t, doctor.Options{Admin: "127.0.0.1:1", NATSURL: "nats://127.0.0.1:1"}), "warn gateway nothing answers at 127.0.0.1:1")
}
