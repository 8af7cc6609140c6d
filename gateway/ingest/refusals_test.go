package ingest

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sluicehq/sluice/gateway/source"
	"github.com/sluicehq/sluice/internal/refused"
	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/pkg/event"
)

// What may be kept of requests is what operators are told that there is.
func TestCausesAreTheAnswersThatAreNoNewEvent(t *testing.T) {
	t.Parallel()
	var labels []string
	for _, a := range newAnswers(source.Zorio.Answers).all {
		if a.label != "ok" {
			labels = append(labels, a.label)
		}
	}
	slices.Sort(labels)
	causes := slices.Sorted(slices.Values(refused.Causes))
	if !slices.Equal(labels, causes) {
		t.Errorf("answers\n%q, causes\n%q", labels, causes)
	}
}

// A stream that takes nothing any more holds no request up, and takes no memory: what does not fit is dropped.
func TestAStuckStreamCostsRequestsNothing(t *testing.T) {
	t.Parallel()
	e := startEdge(t)
	stuck, entered := make(chan struct{}), make(chan struct{})
	var once sync.Once
	var kept atomic.Int64
	e.refusals.close()
	e.refusals = newRefusals(e.source, func(*nats.Msg) error {
		once.Do(func() { close(entered) })
		<-stuck
		kept.Add(1)
		return nil
	})
	answers := e.answers.all
	e.refusals.noteConnection((&wire{}).RemoteAddr(), answers[0], "")
	<-entered
	for range 100 {
		for _, a := range answers {
			e.refusals.noteConnection((&wire{}).RemoteAddr(), a, "") // would block for ever
		}
	}
	if n := len(e.refusals.queue); n != keptQueue {
		t.Errorf("%d wait, %d may", n, keptQueue)
	}
	close(stuck)
	rig.Eventually(t, 10*time.Second, "what waited is kept", func() bool { return kept.Load() == keptQueue+1 })
}

// A request that was let in is kept with its body, and with no more of its signature than it takes to compare it.
func TestWhatWasLetInAndIsNoEventIsKept(t *testing.T) {
	t.Parallel()
	e := startEdge(t)
	notes := make(chan *nats.Msg, 8)
	e.refusals.close()
	e.refusals = newRefusals(e.source, func(m *nats.Msg) error { notes <- m; return nil })
	body := []byte(`{"event":"not a subject"}`)
	conn := &treadmill{text: fill([]byte("POST /webhook HTTP/1.1\r\n{H}Content-Length: {L}\r\n\r\n{B}"), body), left: 1}
	_ = e.Server(Limits{}).ServeConn(taken(e, conn))
	m := <-notes
	if m.Subject != event.RefusedSubject("zorio", "quarantined_unroutable") || string(m.Data) != string(body) || m.Header.Get(event.HeaderBody) != "whole" {
		t.Errorf("%s %q %s", m.Subject, m.Data, m.Header)
	}
	if _, err := time.ParseDuration(m.Header.Get(event.HeaderTook)); err != nil || m.Header.Get(event.HeaderReason) == "" {
		t.Errorf("%v %s", err, m.Header)
	}
	for _, values := range m.Header {
		if len(values[0]) > 64 && values[0][:7] == "sha256=" && values[0][23] != '*' {
			t.Errorf("a signature is kept: %s", values[0])
		}
	}
}
