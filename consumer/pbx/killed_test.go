package main

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/inbox"
)

func TestMain(m *testing.M) { os.Exit(rig.Main(m)) }

// The real consumer, killed with SIGKILL in the middle of its work and restarted: each event has its effect once.
func TestAConsumerThatIsKilledHasEachEffectOnce(t *testing.T) {
	t.Parallel()
	const events = 3000
	server := rig.StartNats(t, "")
	js := server.Declared()
	for n := range events {
		msg := nats.NewMsg(event.Subject("zorio", ringing))
		msg.Header.Set(event.HeaderID, fmt.Sprintf("id-%d/0123456789abcdef", n))
		msg.Data = fmt.Appendf(nil, `{"event":%q,"timestamp":"2026-11-23T03:30:00Z","data":{"call_uuid":"%d"}}`, ringing, n)
		if _, err := js.PublishMsgAsync(msg); err != nil {
			t.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()

	data := t.TempDir()
	tables, err := inbox.Open(t.Context(), team.Name, inbox.Settings{Data: data}, team.Schema...)
	if err != nil {
		t.Fatal(err)
	}
	defer tables.Close()
	count := func(table string) (n int) {
		if err := tables.DB().QueryRowContext(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	consumer := rig.Start(t, rig.Build(t, "./consumer/pbx"), nil, rig.Environment("NATS_URL="+server.URL(), "SLUICE_DATA="+data))
	for kill := 1; kill <= 4; kill++ {
		rig.Eventually(t, time.Minute, "it works", func() bool { return count("calls") >= kill*events/8 })
		consumer.Kill()
		consumer.Start()
	}
	// What it held when it was killed is redelivered after 30 s.
	rig.Eventually(t, 3*time.Minute, "every event has its effect", func() bool { return count("calls") >= events })
	durable, err := js.Consumer(t.Context(), stream.Events, "pbx")
	if err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, 3*time.Minute, "every event is acknowledged", func() bool {
		info, err := durable.Info(t.Context())
		return err == nil && info.NumPending == 0 && info.NumAckPending == 0
	})
	if calls, handled := count("calls"), count("sluice_inbox"); calls != events || handled != events {
		t.Errorf("%d calls and %d handled events of %d", calls, handled, events)
	}
	if code := consumer.Stop(30 * time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
