package replay

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/signature"
	"github.com/sluicehq/sluice/pkg/zorio"
)

func TestAURLGetsWhatTheSenderWouldSend(t *testing.T) {
	js := rig.Hub(t, stream.Settings{})
	rig.Store(t, js, 30, "pbx.call.hangup")
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

// picky is a receiver that takes what it is told to, and counts what it is given.
type picky struct {
	*httptest.Server
	mu    sync.Mutex
	takes func(delivery string) bool
	posts map[string]int
	took  map[string]int
}

func newPicky(t *testing.T, takes func(string) bool) *picky {
	t.Helper()
	p := &picky{takes: takes, posts: map[string]int{}, took: map[string]int{}}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		delivery := r.Header.Get(zorio.HeaderDelivery)
		if p.posts[delivery]++; !p.takes(delivery) {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		p.took[delivery]++
	}))
	t.Cleanup(p.Close)
	return p
}

// post runs a record to the receiver.
func (p *picky) post(t *testing.T, js jetstream.JetStream, r *Record) error {
	t.Helper()
	target := NewURL(p.URL, "0123456789abcdef", func(*event.Event, error) {})
	target.pause = time.Millisecond
	defer target.client.CloseIdleConnections()
	return Do(t.Context(), js, r, Run{Target: target}, nothing)
}

func TestWhatAURLDoesNotTakeIsLeftForAResume(t *testing.T) {
	js := rig.Hub(t, stream.Settings{})
	rig.Store(t, js, 40, "pbx.call.hangup")
	p := newPicky(t, func(delivery string) bool { return !strings.HasSuffix(delivery, "7") })
	r := begin(t, js, Entry{URL: p.URL})
	if err := p.post(t, js, r); err != nil {
		t.Fatal(err)
	}
	if e := r.Entry(); e.State != Refused || e.Progress != (Progress{Sequence: 40, Replayed: 36, Refused: 4}) || !slices.Equal(e.Left, []uint64{8, 18, 28, 38}) {
		t.Fatalf("%+v", e)
	}
	p.takes = func(delivery string) bool { return delivery != "pbx.call.hangup-37" }
	for _, want := range []Progress{{Sequence: 40, Replayed: 39, Refused: 1}, {Sequence: 40, Replayed: 40}} {
		again, err := r.journal.Resume(t.Context(), r.Entry().ID, "me@here")
		if err != nil {
			t.Fatal(err)
		}
		if err := p.post(t, js, again); err != nil {
			t.Fatal(err)
		}
		if e := again.Entry(); e.Progress != want || (e.State == Done) != (want.Refused == 0) {
			t.Fatalf("%+v, want %+v", e, want)
		}
		p.takes = func(string) bool { return true }
	}
	p.tookAll(t, 40)
}

func TestAReceiverThatTakesNothingIsGivenUpSoon(t *testing.T) {
	js := rig.Hub(t, stream.Settings{})
	rig.Store(t, js, 400, "pbx.call.hangup")
	p := newPicky(t, func(string) bool { return false })
	r := begin(t, js, Entry{URL: p.URL})
	err := p.post(t, js, r)
	if !errors.Is(err, ErrRefusing) || !strings.Contains(err.Error(), "in a row were refused, the last with: 403 Forbidden: no") {
		t.Errorf("%v", err)
	}
	if e := r.Entry(); e.State != Failed || e.Progress.Settled() != 0 || len(e.Left) != e.Progress.Refused || len(p.posts) > refusedInRow+postsAtOnce {
		t.Errorf("%d events were posted: %+v", len(p.posts), e.Progress)
	}
	p.takes = func(string) bool { return true }
	again, err := r.journal.Resume(t.Context(), r.Entry().ID, "me@here")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.post(t, js, again); err != nil || again.Entry().State != Done || again.Entry().Progress != (Progress{Sequence: 400, Replayed: 400}) {
		t.Errorf("%v %+v", err, again.Entry())
	}
	p.tookAll(t, 400)
}

func (p *picky) tookAll(t *testing.T, count int) {
	t.Helper()
	for delivery, n := range p.took {
		if n != 1 {
			t.Errorf("%s was taken %d times", delivery, n)
		}
	}
	if len(p.took) != count {
		t.Errorf("%d of %d were taken", len(p.took), count)
	}
}
