package stream_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
)

// A NATS that hangs takes connections and says nothing on them, for which its client waits: who publishes does not.
func TestNobodyWaitsForANATSThatHangs(t *testing.T) {
	t.Parallel()
	server := rig.StartNats(t, "")
	nc := rig.JetStream(t, server.URL()).Conn()
	p, err := stream.NewPublisher(nc)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	server.Signal(syscall.SIGSTOP)
	defer server.Signal(syscall.SIGCONT)
	var longest time.Duration
	for lost := (time.Time{}); lost.IsZero() || time.Since(lost) < 3*time.Second; time.Sleep(10 * time.Millisecond) {
		if lost.IsZero() && !isConnectedSoon(nc) {
			lost = time.Now()
		}
		begin := time.Now()
		p.Publish([]*stream.Outgoing{{Msg: nats.NewMsg("events.x"), Deadline: begin, Settle: func(stream.Ack, error) {}}})
		p.Largest()
		p.Acked()
		p.Outcome()
		longest = max(longest, time.Since(begin))
	}
	if longest > time.Second { // the client waits for more than that
		t.Errorf("somebody waited for %s", longest)
	}
}

// isConnectedSoon is IsConnected where that answers at once, and false while the client is busy with a connection.
func isConnectedSoon(nc *nats.Conn) bool {
	answer := make(chan bool, 1)
	go func() { answer <- nc.IsConnected() }()
	select {
	case is := <-answer:
		return is
	case <-time.After(100 * time.Millisecond):
		return false
	}
}
