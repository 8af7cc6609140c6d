package doctor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

func TestMain(m *testing.M) { os.Exit(rig.Main(m)) }

// examine returns the findings as lines: level, check, detail, remedy.
func examine(t *testing.T, o Options) string {
	t.Helper()
	if o.Data == "" {
		o.Data = t.TempDir()
	}
	var text strings.Builder
	for _, f := range Examine(t.Context(), o) {
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
	text := examine(t, Options{NATSURL: "nats://127.0.0.1:1", RedisURL: "redis://127.0.0.1:1", Data: "/no/such/folder"})
	expect(t, text, "fail nats NATS is not reachable", "fail redis ", "start Redis", "ok disk /no/such/folder is not there", "warn settings the gateway's program is not beside")
}

func TestAHealthyDeployment(t *testing.T) {
	js := rig.Hub(t, stream.Settings{})
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
	text := examine(t, Options{NATSURL: js.Conn().ConnectedUrl(), RedisURL: redis.URL(), Gateway: rig.Build(t, "./gateway")})
	expect(t, text, "ok settings", "ok disk", "ok redis", "ok nats", "ok jetstream", "ok streams EVENTS 0", "ok clock", "ok permissions", "ok teams archive, pbx")
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
	js := rig.Hub(t, stream.Settings{MaxAge: time.Hour})
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
	text := examine(t, Options{NATSURL: js.Conn().ConnectedUrl(), RedisURL: redis.URL(), Gateway: rig.Build(t, "./gateway")})
	expect(t, text, "fail settings ZORIO_WEBHOOK_SECRET is not set", "warn redis maxmemory-policy is allkeys-lru", "fail streams QUARANTINE",
		"fail permissions cannot publish to quarantine.doctor.probe", "fail teams late: retention drops the first of 1 waiting events in")
}

func TestAServerThatDoesNotSync(t *testing.T) {
	server := rig.StartNats(t, "")
	text := examine(t, Options{NATSURL: server.URL(), Monitor: "http://" + server.Monitor})
	expect(t, text, "ok sync every write is synced", "fail streams EVENTS", "start a gateway")
	config := filepath.Join(t.TempDir(), "nats.conf")
	address, monitor := rig.Address(t), rig.Address(t)
	if err := os.WriteFile(config, []byte("listen: \""+address+"\"\nhttp: \""+monitor+"\"\njetstream { store_dir: \""+t.TempDir()+"\" }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	lax := rig.Start(t, rig.NatsServer(t), []string{"-c", config}, rig.Environment())
	lax.Listening(address)
	text = examine(t, Options{NATSURL: "nats://" + address, Monitor: "http://" + monitor})
	expect(t, text, "warn sync a 200 survives a crash of the process, not a power cut", "set sync_interval: always", "warn nats max_payload is 1048576 bytes")
}
