package replay

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/signature"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/zorio"
)

func TestAURLGetsWhatTheSenderWouldSend(t *testing.T) {
	js := rig.Hub(t, stream.Settings{})
	store(t, js, "pbx.call.hangup", 30)
	const secret = "0123456789abcdef"
	keys, err := signature.New(secret)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	got := map[string]int{}
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := make([]byte, r.ContentLength)
		_, _ = r.Body.Read(body)
		mu.Lock()
		defer mu.Unlock()
		delivery := r.Header.Get(zorio.HeaderDelivery)
		if got[delivery]++; delivery == "pbx.call.hangup-7" || delivery == "pbx.call.hangup-8" && got[delivery] == 1 {
			http.Error(w, "not this one", http.StatusTeapot)
		}
		if _, ok := keys.Verify([]byte(r.Header.Get(zorio.HeaderSignature)), body); !ok || r.Header.Get(zorio.HeaderEvent) != "pbx.call.hangup" {
			t.Errorf("%s: headers %v", delivery, r.Header)
		}
	}))
	t.Cleanup(receiver.Close)
	var refused []string
	target := NewURL(receiver.URL, secret, func(e *event.Event, err error) { refused = append(refused, e.Delivery+" "+err.Error()) })
	target.pause = time.Millisecond
	t.Cleanup(target.client.CloseIdleConnections)
	run := Run{Target: target}
	var last Progress
	if err := run.Play(t.Context(), js, func(p Progress) { last = p }); err != nil {
		t.Fatal(err)
	}
	if len(got) != 30 || got["pbx.call.hangup-7"] != 3 || got["pbx.call.hangup-8"] != 2 {
		t.Errorf("%v", got)
	}
	if last != (Progress{Sequence: 30, Replayed: 29, Refused: 1}) || !slices.Equal(refused, []string{"pbx.call.hangup-7 418 I'm a teapot: not this one"}) {
		t.Errorf("%+v %q", last, refused)
	}
	receiver.Close()
	again := Run{Target: target}
	if err := again.Play(t.Context(), js, nothing); err == nil || !strings.Contains(err.Error(), "in a row") {
		t.Errorf("a receiver that is dead: %v", err)
	}
}

func TestLinesKeepJSONAndBytes(t *testing.T) {
	var out strings.Builder
	at := time.Date(2026, 11, 23, 3, 30, 0, 0, time.UTC)
	_, err := Lines{&out}.Deliver(t.Context(), []*event.Event{
		{Sequence: 1, Name: "a.b", Delivery: "d", Received: at, Body: []byte("{ \"x\": \"<&\" }")},
		{Sequence: 2, Name: "a.b", Delivery: "d", Received: at, Body: []byte("\xff\n")},
	})
	want := `{"sequence":1,"received":"2026-11-23T03:30:00Z","event":"a.b","delivery":"d","body":{"x":"<&"},"body_base64":"eyAieCI6ICI8JiIgfQ=="}
{"sequence":2,"received":"2026-11-23T03:30:00Z","event":"a.b","delivery":"d","body_base64":"/wo="}
`
	if err != nil || out.String() != want {
		t.Errorf("%v\n%s", err, out.String())
	}
}
