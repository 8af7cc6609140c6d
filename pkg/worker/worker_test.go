package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

func TestMain(m *testing.M) {
	rig.ManyAtOnce()
	goleak.VerifyTestMain(m)
}

// hub is a NATS server of the test's with the streams declared.
type hub struct {
	t   testing.TB
	url string
	js  jetstream.JetStream
}

func newHub(t testing.TB) *hub {
	t.Helper()
	if test, ok := t.(*testing.T); ok {
		test.Parallel() // what these tests do most is wait
	}
	url := rig.StartQuickNats(t, "").URL()
	h := &hub{t: t, url: url, js: rig.JetStream(t, url)}
	h.declare()
	return h
}

func (h *hub) declare() { h.t.Helper(); rig.Declare(h.t, h.js, stream.Settings{}) }

// publish stores events of one name, with the bodies "0", "1", …
func (h *hub) publish(name string, count int) {
	h.t.Helper()
	for i := range count {
		msg := nats.NewMsg(event.Subject("zorio", name))
		msg.Header.Set(event.HeaderID, fmt.Sprintf("%s-%d/0123456789abcdef", name, i))
		msg.Data = fmt.Append(nil, i)
		if _, err := h.js.PublishMsg(h.t.Context(), msg); err != nil {
			h.t.Fatal(err)
		}
	}
}

// publishMany stores events without waiting for each.
func (h *hub) publishMany(name string, count int) {
	h.t.Helper()
	for i := range count {
		msg := nats.NewMsg(event.Subject("zorio", name))
		msg.Header.Set(event.HeaderID, fmt.Sprintf("%s-%d/0123456789abcdef", name, i))
		msg.Data = fmt.Append(nil, i)
		if _, err := h.js.PublishMsgAsync(msg, jetstream.WithStallWait(10*time.Second)); err != nil {
			h.t.Fatal(err)
		}
	}
	<-h.js.PublishAsyncComplete()
}

// start runs a worker; what it returns stops it and fails the test when that was not graceful.
func (h *hub) start(team Team, s Settings, handle Handler) (stop func()) {
	h.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	w := quickly(h.url, team, s, handle)
	go func() { ended <- w.run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				h.t.Errorf("team %s ended: %v", team.Name, err)
			}
		case <-time.After(time.Minute):
			h.t.Errorf("team %s does not stop", team.Name)
		}
	})
	h.t.Cleanup(stop)
	return stop
}

// quick is what a test does not wait for as long as a team does.
var quick = timing{ackWait: stream.AckWait, fetchWait: 250 * time.Millisecond, watchEvery: watchEvery, grace: grace, ignores: ignores, doubt: 200 * time.Millisecond}

// quickly is a worker whose pauses are short.
func quickly(url string, team Team, s Settings, handle Handler) *worker {
	defaults := Settings{Common: Common{NATSURL: url}, Concurrency: 8, Timeout: time.Minute, Attempts: 4, BackoffMin: 10 * time.Millisecond, BackoffMax: 50 * time.Millisecond}
	if s.Concurrency != 0 {
		defaults.Concurrency = s.Concurrency
	}
	if s.Attempts != 0 {
		defaults.Attempts = s.Attempts
	}
	if s.Timeout != 0 {
		defaults.Timeout = s.Timeout
	}
	if s.BackoffMin != 0 {
		defaults.BackoffMin, defaults.BackoffMax = s.BackoffMin, s.BackoffMin
	}
	defaults.Start = s.Start
	admin, err := telemetry.NewAdmin(team.Name, "", "")
	if err != nil {
		panic(err)
	}
	return &worker{team: team, handle: handle, settings: defaults, admin: admin, timing: quick, log: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

// eventually waits for something to become true.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	rig.Eventually(t, time.Minute, what, is)
}

// settled waits until the team has nothing left to do.
func (h *hub) settled(team string) { h.t.Helper(); h.settledBut(0, team) }

// settledBut waits until all but so many events are done or given up, and those wait to be tried again.
func (h *hub) settledBut(waiting uint64, team string) {
	h.t.Helper()
	eventually(h.t, "team "+team+" has settled everything", func() bool {
		c, err := h.js.Consumer(h.t.Context(), stream.Events, team)
		if err != nil {
			return false
		}
		info, err := c.Info(h.t.Context())
		// What is pending the server may count only later: of a consumer that was just made, and of an event just stored.
		return err == nil && info.NumPending == 0 && info.NumAckPending == 0 && info.Delivered.Consumer > 0 &&
			info.Delivered.Stream >= h.last(append(info.Config.FilterSubjects, info.Config.FilterSubject)) && h.left(stream.Retry) == waiting
	})
}

// last is the sequence of the newest event that one of these filters matches; 0 for none. An empty one matches nothing.
func (h *hub) last(filters []string) (sequence uint64) {
	h.t.Helper()
	s, err := h.js.Stream(h.t.Context(), stream.Events)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, filter := range filters {
		if filter == "" {
			continue
		}
		m, err := s.GetLastMsgForSubject(h.t.Context(), filter)
		switch {
		case err == nil:
			sequence = max(sequence, m.Sequence)
		case !errors.Is(err, jetstream.ErrMsgNotFound):
			h.t.Fatal(err)
		}
	}
	return sequence
}

// left is how many messages are in a stream.
func (h *hub) left(name string) uint64 { h.t.Helper(); return rig.Messages(h.t, h.js, name) }

// declared waits until a team's consumer is there.
func (h *hub) declared(team string) {
	h.t.Helper()
	eventually(h.t, "team "+team+" has its consumer", func() bool {
		_, err := h.js.Consumer(h.t.Context(), stream.Events, team)
		return err == nil
	})
}

func (h *hub) dead(team string) (letters []*jetstream.RawStreamMsg) {
	h.t.Helper()
	s, err := h.js.Stream(h.t.Context(), stream.Dead)
	if err != nil {
		h.t.Fatal(err)
	}
	for seq := uint64(1); seq <= s.CachedInfo().State.LastSeq; seq++ {
		m, err := s.GetMsg(h.t.Context(), seq)
		if err != nil {
			h.t.Fatal(err)
		}
		if m.Header.Get(event.HeaderTeam) == team {
			letters = append(letters, m)
		}
	}
	return letters
}

// counter counts what is seen under a name.
type counter struct {
	mu    sync.Mutex
	count map[string]int
}

func (c *counter) add(name string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.count == nil {
		c.count = map[string]int{}
	}
	c.count[name]++
	return c.count[name]
}

func (c *counter) get(name string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count[name]
}

func TestWhatAHandlerReturnsIsTheOutcome(t *testing.T) {
	h := newHub(t)
	for _, name := range []string{"ok", "once", "final", "always", "panics", "later"} {
		h.publish(name, 1)
	}
	var seen counter
	var panics atomic.Int32 // the line where it does
	h.start(Team{Name: "team"}, Settings{}, func(_ context.Context, e *event.Event) error {
		attempt := seen.add(e.Name)
		if attempt != e.Attempt {
			t.Errorf("%s: attempt %d says that it is %d", e.Name, attempt, e.Attempt)
		}
		switch {
		case e.Name == "final":
			return Permanent(errors.New("no\r\nNats-Msg-Id: forged"))
		case e.Name == "always":
			return errors.New("never works")
		case e.Name == "panics":
			_, _, line, _ := runtime.Caller(0)
			panics.Store(int32(line) + 2)
			panic("oops")
		case e.Name == "once" && attempt == 1:
			return errors.New("try again")
		case e.Name == "later" && attempt == 1:
			return RetryAfter(20*time.Millisecond, nil)
		}
		return nil
	})
	h.settled("team")
	for name, want := range map[string]int{"ok": 1, "once": 2, "final": 1, "always": 4, "panics": 4, "later": 2} {
		if got := seen.get(name); got != want {
			t.Errorf("%s: %d attempts, want %d", name, got, want)
		}
	}
	letters := map[string]*jetstream.RawStreamMsg{}
	for _, l := range h.dead("team") {
		letters[l.Subject] = l
	}
	for subject, want := range map[string][3]string{
		"dead.team.zorio.final":  {event.ReasonPermanent, "no Nats-Msg-Id: forged", "1"},
		"dead.team.zorio.always": {event.ReasonExhausted, "never works", "4"},
		"dead.team.zorio.panics": {event.ReasonExhausted, fmt.Sprintf("panic at worker/worker_test.go:%d: oops", panics.Load()), "4"},
	} {
		l := letters[subject]
		if l == nil {
			t.Errorf("no dead letter on %s", subject)
			continue
		}
		if got := [3]string{l.Header.Get(event.HeaderReason), l.Header.Get(event.HeaderError), l.Header.Get(event.HeaderAttempts)}; got != want {
			t.Errorf("%s: %q, want %q", subject, got, want)
		}
		if string(l.Data) != "0" || !strings.HasSuffix(l.Header.Get(event.HeaderIdentity), "/0123456789abcdef") || l.Header.Get(event.HeaderSequence) == "" {
			t.Errorf("%s: %q %v", subject, l.Data, l.Header)
		}
	}
	if len(letters) != 3 {
		t.Errorf("%d dead letters", len(letters))
	}
}

func TestEventsOfOneKeyNeverRunTogetherAndStartInOrder(t *testing.T) {
	h := newHub(t)
	const count = 60
	h.publish("keyed", count)
	var mu sync.Mutex
	var order [3][]string
	var running [3]atomic.Int32
	lane := func(e *event.Event) int { return int(e.Body[len(e.Body)-1]-'0') % 3 }
	h.start(Team{Name: "keyed", Key: func(e *event.Event) string { return fmt.Sprint(lane(e)) }}, Settings{},
		func(_ context.Context, e *event.Event) error {
			l := lane(e)
			if running[l].Add(1) != 1 {
				t.Error("two events of one key at the same time")
			}
			defer running[l].Add(-1)
			time.Sleep(time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			order[l] = append(order[l], string(e.Body))
			return nil
		})
	eventually(t, "every event was handled", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(order[0])+len(order[1])+len(order[2]) >= count
	})
	h.settled("keyed")
	var want [3][]string
	for i := range count {
		body := fmt.Sprint(i)
		l := lane(&event.Event{Body: []byte(body)})
		want[l] = append(want[l], body)
	}
	if fmt.Sprint(order) != fmt.Sprint(want) {
		t.Errorf("order %v\n want %v", order, want)
	}
}

func TestEventsThatWaitHoldNothingElseUp(t *testing.T) {
	h := newHub(t)
	const waiting = 10_800
	h.publishMany("mixed", waiting/9*10)
	good := make(chan struct{}, 1)
	h.start(Team{Name: "team"}, Settings{Concurrency: 64, BackoffMin: time.Hour}, func(_ context.Context, e *event.Event) error {
		switch {
		case e.Name == "good":
			good <- struct{}{}
		case e.Body[len(e.Body)-1] != '0': // nine of ten
			return RetryAfter(time.Hour, errors.New("not now"))
		}
		return nil
	})
	h.settledBut(waiting, "team")
	begin := time.Now()
	h.publish("good", 1)
	<-good
	t.Logf("behind %d events that wait, a good one was processed %s after it was published", waiting, time.Since(begin))
}

func TestAStopLetsHandlersEndAndLosesNothing(t *testing.T) {
	h := newHub(t)
	h.publish("slow", 40)
	var begun, ended atomic.Int32
	handle := func(_ context.Context, _ *event.Event) error {
		begun.Add(1)
		time.Sleep(20 * time.Millisecond)
		ended.Add(1)
		return nil
	}
	stop := h.start(Team{Name: "team"}, Settings{Concurrency: 2}, handle)
	eventually(t, "the work has begun", func() bool { return begun.Load() > 2 })
	stop()
	if begun.Load() != ended.Load() {
		t.Errorf("%d handlers had begun, %d had ended when the worker was gone", begun.Load(), ended.Load())
	}
	h.start(Team{Name: "team"}, Settings{Concurrency: 2}, handle)
	h.settled("team")
	if ended.Load() != 40 {
		t.Errorf("%d events were processed, want each of 40 once", ended.Load())
	}
}

func TestAHandlerThatHangsIsCancelledAndTriedAgain(t *testing.T) {
	h := newHub(t)
	h.publish("hangs", 1)
	var attempts atomic.Int32
	h.start(Team{Name: "team"}, Settings{Timeout: 50 * time.Millisecond}, func(ctx context.Context, _ *event.Event) error {
		if attempts.Add(1) == 1 {
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	})
	h.settled("team")
	if attempts.Load() != 2 {
		t.Errorf("%d attempts", attempts.Load())
	}
}

func TestASlowHandlerKeepsItsEvent(t *testing.T) {
	h := newHub(t)
	h.publish("slow", 3)
	var attempts atomic.Int32
	w := quickly(h.url, Team{Name: "team", Key: func(*event.Event) string { return "one" }}, Settings{}, func(context.Context, *event.Event) error {
		attempts.Add(1)
		time.Sleep(1500 * time.Millisecond) // three in a lane: the last waits and runs far longer than the server waits for a word
		return nil
	})
	w.ackWait = 2 * time.Second
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.run(ctx) }()
	h.settled("team")
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if attempts.Load() != 3 {
		t.Errorf("%d attempts for 3 events", attempts.Load())
	}
}

func TestTheWorkerWaitsForNATSAndForTheStream(t *testing.T) {
	server := rig.StartQuickNats(t, "")
	server.Stop(20 * time.Second)

	h := &hub{t: t, url: server.URL()}
	var got atomic.Int32
	h.start(Team{Name: "early", Events: []string{"pbx.>"}}, Settings{}, func(context.Context, *event.Event) error { got.Add(1); return nil })
	server.Restart()
	h.js = rig.JetStream(t, h.url)
	eventually(t, "the worker is connected", func() bool { return len(server.Clients()) > 1 })
	h.declare()
	h.publish("pbx.call.hangup", 1)
	h.publish("telesales.lead.created", 1)
	eventually(t, "its event is processed", func() bool { return got.Load() == 1 })

	server.Stop(20 * time.Second) // and it outlives a restart
	server.Restart()
	h.js = rig.JetStream(t, h.url)
	h.publish("pbx.call.answered", 1)
	eventually(t, "an event after the restart is processed", func() bool { return got.Load() == 2 })
	h.settled("early")
}

func TestADeadLetterThatCannotBeStoredIsNotLost(t *testing.T) {
	h := newHub(t)
	if err := h.js.DeleteStream(t.Context(), stream.Dead); err != nil {
		t.Fatal(err)
	}
	h.publish("final", 1)
	var attempts atomic.Int32
	stop := h.start(Team{Name: "team"}, Settings{}, func(context.Context, *event.Event) error {
		attempts.Add(1)
		return Permanent(errors.New("no"))
	})
	eventually(t, "it was tried", func() bool { return attempts.Load() == 1 })
	h.declare()
	h.settled("team")
	stop()
	if got := len(h.dead("team")); got != 1 {
		t.Errorf("%d dead letters, want 1", got)
	}
}

func TestANewTeamStartsWhereItIsToldAndGoesOnWhereItWas(t *testing.T) {
	h := newHub(t)
	h.publish("before", 3)
	for name, c := range map[string]struct {
		start string
		want  int32 // of the three before, and two published since
	}{
		"all": {"beginning", 5}, "new": {"now", 2}, "past": {time.Now().Add(-time.Hour).UTC().Format(time.RFC3339), 5},
	} {
		var s Settings
		if err := s.Start.UnmarshalText([]byte(c.start)); err != nil || s.Start.String() != c.start {
			t.Fatalf("%q: %v, %v", c.start, s.Start, err)
		}
		var got atomic.Int32
		team := Team{Name: name, Events: []string{"before", name + ".>"}}
		handle := func(context.Context, *event.Event) error { got.Add(1); return nil }
		stop := h.start(team, s, handle)
		h.declared(name)
		h.publish(name+".first", 1)
		h.settled(name)
		stop()
		h.publish(name+".second", 1)
		h.start(team, Settings{}, handle)
		eventually(t, "the event that came meanwhile was handled", func() bool { return got.Load() >= c.want })
		h.settled(name)
		if got.Load() != c.want {
			t.Errorf("start at %s: %d events, want %d", c.start, got.Load(), c.want)
		}
	}
	var s Start
	if err := s.UnmarshalText([]byte("yesterday")); err == nil {
		t.Error("yesterday is taken for a time")
	}
}

func TestTeamsAreChecked(t *testing.T) {
	for _, team := range []Team{{Name: ""}, {Name: "a.b"}, {Name: "a b"}, {Name: "pbx", Events: []string{"pbx.>.x"}}, {Name: "pbx", Events: []string{""}}, {Name: "pbx", Events: []string{"events zorio"}}} {
		if err := Run(t.Context(), team, nil); err == nil {
			t.Errorf("%+v is taken for a team", team)
		}
	}
}

func TestADurableOfSomebodyElsesIsLeftAlone(t *testing.T) {
	h := newHub(t)
	if _, err := h.js.CreateConsumer(t.Context(), stream.Events, jetstream.ConsumerConfig{Durable: "theirs", AckPolicy: jetstream.AckNonePolicy}); err != nil {
		t.Fatal(err)
	}
	err := quickly(h.url, Team{Name: "theirs"}, Settings{}, nil).run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "is not Sluice's") {
		t.Errorf("got %v", err)
	}
}

func TestTheLogNamesTheEvent(t *testing.T) {
	h := newHub(t)
	h.publish("final", 1)
	var out bytes.Buffer
	w := quickly(h.url, Team{Name: "team"}, Settings{}, func(context.Context, *event.Event) error { return Permanent(errors.New("no such call")) })
	w.log = slog.New(slog.NewTextHandler(&out, nil))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.run(ctx) }()
	h.settled("team")
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	for _, want := range []string{"dead-lettered", "event=final", "delivery=final-0", `error="no such call"`, "reason=permanent"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the log lacks %q: %s", want, out.String())
		}
	}
}

func TestOtherEventsThanBeforeAreTakenFromHereOnAndToldOf(t *testing.T) {
	h := newHub(t)
	stop := h.start(Team{Name: "team", Events: []string{"a"}}, Settings{}, nil)
	h.declared("team")
	stop()
	h.publish("b", 1)
	var out lockedBuilder
	var got atomic.Int32
	w := quickly(h.url, Team{Name: "team", Events: []string{"b"}}, Settings{}, func(context.Context, *event.Event) error { got.Add(1); return nil })
	w.log = slog.New(slog.NewTextHandler(&out, nil))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.run(ctx) }()
	eventually(t, "the change is told", func() bool { return strings.Contains(out.String(), "the team's events have changed") })
	eventually(t, "the new ones are taken", func() bool { return got.Load() == 1 })
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
