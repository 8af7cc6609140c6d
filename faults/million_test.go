package faults

import (
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
)

// However much is stored, a gateway that was killed answers soon again.
func TestAGatewayIsThereSoonAfterAKillHoweverMuchIsStored(t *testing.T) {
	t.Parallel()
	stored, within := 5_000, 10*time.Second // any number, and a busy machine
	if *all {
		stored, within = 1_000_000, 500*time.Millisecond
	}
	s := &stage{t: t}
	embedded(s)
	rig.Store(t, rig.JetStream(t, s.hub()), stored, "pbx.call.hangup")
	s.sender = rig.StartSender(t, s.gateway.URL(), 100, *scale)
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

func (s *stage) answersSince(begin time.Time) bool {
	for _, a := range s.sender.Attempts(begin, time.Now()) {
		if !a.Failed() {
			return true
		}
	}
	return false
}
