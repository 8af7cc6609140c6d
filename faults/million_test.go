package faults

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/zorio"
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
	fill(t, rig.JetStream(t, s.hub()), stored)
	for range 3 {
		s.gateway.Kill()
		begin := time.Now()
		s.gateway.Start()
		rig.Eventually(t, time.Minute, "a delivery is answered 200", func() bool { return s.taken() })
		took := time.Since(begin)
		if t.Logf("%d events, the first 200 after %s", stored, took); took > within {
			t.Errorf("with %d events the first 200 comes after %s", stored, took)
		}
		s.gateway.Ready()
	}
}

// fill stores so many events.
func fill(t *testing.T, js jetstream.JetStream, count int) {
	t.Helper()
	body := fmt.Appendf(nil, `{"event":"pbx.call.hangup","data":{"text":"%0512d"}}`, 0)
	for n := range count {
		m := &nats.Msg{Subject: "events.zorio.pbx.call.hangup", Data: body, Header: nats.Header{event.HeaderID: {fmt.Sprintf("full-%d/0123456789abcdef", n)}}}
		if _, err := js.PublishMsgAsync(m, jetstream.WithStallWait(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-time.After(5 * time.Minute):
		t.Fatalf("%d of %d events are not stored", js.PublishAsyncPending(), count)
	}
}

// taken sends one delivery and reports whether it was answered 200.
func (s *stage) taken() bool {
	body := fmt.Appendf(nil, `{"event":"pbx.call.hangup","data":{"n":%d}}`, time.Now().UnixNano())
	request, _ := http.NewRequest(http.MethodPost, s.gateway.URL(), bytes.NewReader(body))
	request.Header = zorio.Headers(rig.Secret, "pbx.call.hangup", fmt.Sprint("taken-", time.Now().UnixNano()), time.Now(), body)
	answer, err := (&http.Client{Timeout: 5 * time.Second}).Do(request)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode == http.StatusOK
}
