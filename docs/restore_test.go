package docs

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/gateway/seen"
	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/secure"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/inbox"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// The disks of NATS are lost and a backup is put onto new ones. The gateway answers all the time. What was stored after
// the backup is gone, and is no duplicate when it comes again; each team ends with every call once.
func TestStreamsAreRestoredWhileTheGatewayAnswers(t *testing.T) {
	t.Parallel()
	n, redis := rig.StartNats(t, ""), rig.StartRedis(t)
	g := rig.StartGateway(t, rig.Launch{}, "NATS_URL="+n.URL(), "REDIS_URL="+redis.URL(), "SLUICE_NATS_MONITOR=http://"+n.Monitor)
	g.Ready()
	team := startPBX(t, "NATS_URL="+n.URL())
	aside := rig.Address(t)
	d := newDesk(t, []string{"NATS_URL=" + n.URL()}, "127.0.0.1:4333", aside)
	backup, restore := theTwo(t, rig.Shown(t, "docs/operate.md"))

	deliver(t, g.URL(), "200 OK", 0, 40)
	team.has(40)
	d.types(backup)
	deliver(t, g.URL(), "200 OK", 40, 80)
	team.has(80)

	n.Lose()
	deliver(t, g.URL(), "200 OK", 80, 120)
	n.StartAt(aside)
	d.types(restore)
	n.Stop(time.Minute)
	deliver(t, g.URL(), "200 Duplicate", 80, 120)
	n.StartAt(n.Address)

	js := rig.JetStream(t, n.URL())
	rig.Eventually(t, time.Minute, "what was in the journal is stored", func() bool { return rig.Messages(t, js, stream.Events) == 80 })
	deliver(t, g.URL(), "200 Duplicate", 0, 40)
	rig.Eventually(t, time.Minute, "the gateway knows that what came after the backup is lost", func() bool { return answer(t, g.URL(), 40) == "200 OK" })
	deliver(t, g.URL(), "200 OK", 41, 80)
	rig.Eventually(t, time.Minute, "Redis is refilled from the restored stream", func() bool {
		return rememberedOf(t, redis, js, "call-39")
	})
	deliver(t, g.URL(), "200 Duplicate", 0, 40)
	team.has(120)
	if stored := rig.Messages(t, js, stream.Events); stored != 120 {
		t.Errorf("%d events are stored", stored)
	}
}

// The folder of a gateway with the embedded NATS is copied, lost, and put back.
func TestTheDataFolderIsABackup(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	g := rig.StartGateway(t, rig.Launch{Data: filepath.Join(d.dir, "data")})
	g.Ready()
	backup, restore := theTwo(t, rig.Shown(t, "docs/operate.md"))
	stopped := func(command string) {
		g.Stop(time.Minute)
		d.types(command)
		g.Start()
		g.Ready()
	}

	deliver(t, g.URL(), "200 OK", 0, 20)
	stopped(backup)
	deliver(t, g.URL(), "200 OK", 20, 40)
	stopped(restore)
	deliver(t, g.URL(), "200 OK", 20, 40)
	for n := range 40 { // until what was stored before the start is known again, a repetition is answered OK, and stored once
		rig.Eventually(t, time.Minute, fmt.Sprintf("call %d is a duplicate", n), func() bool { return answer(t, g.URL(), n) == "200 Duplicate" })
	}
}

func theTwo(t *testing.T, blocks []string) (first, second string) {
	t.Helper()
	if len(blocks) != 2 {
		t.Fatalf("%d blocks", len(blocks))
	}
	return blocks[0], blocks[1]
}

// deliver posts calls of these numbers, the last one excluded, each of which must be answered like this.
func deliver(t *testing.T, url, want string, from, to int) {
	t.Helper()
	for n := from; n < to; n++ {
		if got := answer(t, url, n); got != want {
			t.Fatalf("call %d is answered %q, want %q", n, got, want)
		}
	}
}

// answer is that to the end of a call.
func answer(t *testing.T, url string, n int) string {
	t.Helper()
	id := fmt.Sprintf("call-%d", n)
	body := fmt.Appendf(nil, `{"event":"pbx.call.hangup","timestamp":"2026-11-23T03:30:48Z","data":{"call_uuid":%q}}`, id)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = zorio.Headers(rig.Secret, "pbx.call.hangup", id, time.Now(), body)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(answer.StatusCode, " ", string(text))
}

// pbx is the consumer of that name.
type pbx struct {
	*rig.Process
	t    *testing.T
	data string
}

func startPBX(t *testing.T, settings ...string) *pbx {
	t.Helper()
	data := t.TempDir()
	return &pbx{rig.Start(t, rig.Build(t, "./consumer/pbx"), nil, rig.Environment(append(settings, "SLUICE_DATA="+data)...)), t, data}
}

// has waits until its table has so many calls, each of which is there once.
func (p *pbx) has(want int) {
	p.t.Helper()
	tables, err := inbox.Open(p.t.Context(), "pbx", inbox.Settings{Data: p.data})
	if err != nil {
		p.t.Fatal(err)
	}
	defer tables.Close()
	rig.Eventually(p.t, time.Minute, fmt.Sprintf("pbx has %d calls", want), func() bool {
		var calls int
		err := tables.DB().QueryRowContext(p.t.Context(), `SELECT count(*) FROM calls`).Scan(&calls)
		return err == nil && calls == want
	})
}

// rememberedOf reports whether Redis remembers a delivery as stored in the stream that there is now.
func rememberedOf(t *testing.T, redis *rig.Redis, js jetstream.JetStream, delivery string) bool {
	t.Helper()
	events, err := js.Stream(t.Context(), stream.Events)
	if err != nil {
		return false
	}
	memory, err := seen.NewRedis(redis.URL(), secure.Files{}, seen.Small, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer memory.Close()
	memory.Of(events.CachedInfo().Created)
	sequence, err := memory.Find(t.Context(), delivery)
	return err == nil && sequence > 0
}
