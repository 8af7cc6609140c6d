package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/access"
	"github.com/sluicehq/sluice/internal/rig"
)

// However much is stored, a gateway that was killed answers soon again.
func TestAGatewayIsThereSoonAfterAKillHoweverMuchIsStored(t *testing.T) {
	t.Parallel()
	stored, within := 20_000, 10*time.Second // any number, and a busy machine
	if *all {
		stored, within = 1_000_000, 500*time.Millisecond
	}
	s := &stage{t: t}
	embedded(s)
	s.store(stored)
	s.sender = rig.StartSender(t, rig.Sending{URL: s.gateway.URL(), Rate: 100, Scale: *scale})
	for range 3 {
		s.gateway.Kill()
		begin := time.Now()
		s.gateway.Start()
		rig.Eventually(t, time.Minute, "a delivery is answered 200", func() bool { return s.answersSince(begin) })
		took := time.Since(begin)
		if t.Logf("%d events are stored: the first 200 comes %s after the start", stored, took); took > within {
			t.Errorf("that is more than %s", within)
		}
		s.gateway.Ready()
	}
	s.sender.End()
}

// store stores so many events while the gateway does not run, by a server that does not sync each: that would take many
// minutes.
func (s *stage) store(count int) {
	s.gateway.WaitFor(`"listening"`, time.Minute) // the streams are there
	s.gateway.Stop(20 * time.Second)
	file := filepath.Join(s.t.TempDir(), "nats.conf")
	text := fmt.Sprintf("listen: %q\njetstream { store_dir: %q }\n", s.gateway.Hub, s.gateway.Data) + rig.Include(access.In(s.gateway.Data).Accounts())
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	server := rig.Start(s.t, rig.NatsServer(s.t), []string{"-c", file}, rig.Environment())
	server.Listening(s.gateway.Hub)
	rig.Store(s.t, s.js(), count, "pbx.call.hangup")
	server.Stop(time.Minute)
	s.gateway.Start()
	s.gateway.Ready()
}

func (s *stage) answersSince(begin time.Time) bool {
	for _, a := range s.sender.Attempts() {
		if !a.Failed() && a.Begin.After(begin) {
			return true
		}
	}
	return false
}
