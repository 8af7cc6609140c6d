package stream

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
)

// actor plays JetStream: it answers the copies of a message as a test says.
type actor struct {
	mu     sync.Mutex
	copies map[string]int // by Nats-Msg-Id
	total  int
}

// act makes a server where answer is asked about each copy, counted from 1; "" is silence.
func act(t *testing.T, answer func(id string, copy int) string) (*actor, *nats.Conn) {
	t.Helper()
	url := StartNats(t, "").URL()
	connect := func() *nats.Conn {
		nc, _ := connected(t, Options{URL: url})
		return nc
	}
	a, stage := &actor{copies: map[string]int{}}, connect()
	_, err := stage.Subscribe("events.>", func(m *nats.Msg) {
		id := m.Header.Get("Nats-Msg-Id")
		a.mu.Lock()
		defer a.mu.Unlock()
		a.total++
		a.copies[id]++
		if said := answer(id, a.copies[id]); said != "" {
			_ = m.Respond([]byte(said))
		}
	})
	if err != nil || stage.Flush() != nil {
		t.Fatal(err)
	}
	return a, connect()
}

func (a *actor) sent() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.total
}

const (
	storedNow = `{"stream":"EVENTS","seq":1}`
	duplicate = `{"stream":"EVENTS","seq":1,"duplicate":true}`
)

// What JetStream calls a duplicate because we sent it twice was not there before.
func TestOnlyTheFirstCopyCanBeADuplicate(t *testing.T) {
	t.Parallel()
	_, nc := act(t, func(id string, copy int) string {
		if id == "sent twice" && copy == 1 {
			return "" // the acknowledgement is lost
		}
		return duplicate
	})
	p := publisher(t, nc)
	for id, want := range map[string]bool{"sent twice": false, "there before": true} {
		m, settled := outgoing(id, time.Minute)
		p.Publish([]*Outgoing{m})
		if f := wait(t, settled); f.err != nil || f.ack.Duplicate != want {
			t.Errorf("%s: %+v", id, f)
		}
	}
}

// A copy that is refused says nothing of the one before it, which may be stored.
func TestARefusalLeavesTheDoubtAboutAnotherCopy(t *testing.T) {
	t.Parallel()
	_, nc := act(t, func(_ string, copy int) string {
		if copy == 1 {
			return "" // the acknowledgement is lost
		}
		return `{"error":{"code":500,"err_code":10047,"description":"insufficient storage resources available"}}`
	})
	p := publisher(t, nc)
	m, settled := outgoing("sent again", time.Minute)
	p.Publish([]*Outgoing{m})
	if f := wait(t, settled); !errors.Is(f.err, ErrInDoubt) || !errors.Is(f.err, ErrRefused) {
		t.Errorf("%+v", f)
	}
}

// What has somewhere else to go is sent once, whatever becomes of it.
func TestWhatHasSomewhereElseToGoIsSentOnce(t *testing.T) {
	t.Parallel()
	a, nc := act(t, func(string, int) string { return "" })
	p := publisher(t, nc)
	m, settled := outgoing("sent once", 3*ackWait)
	m.Once = true
	p.Publish([]*Outgoing{m})
	if f := wait(t, settled); !errors.Is(f.err, ErrInDoubt) || a.sent() != 1 {
		t.Errorf("%+v after %d copies", f, a.sent())
	}
}

// An acknowledgement that comes after a message was given up is told once more.
func TestALateAcknowledgementEndsTheDoubt(t *testing.T) {
	t.Parallel()
	var late *nats.Msg
	_, nc := act(t, func(string, int) string { return "" })
	heard, err := nc.SubscribeSync("events.>")
	if err != nil {
		t.Fatal(err)
	}
	p := publisher(t, nc)
	m, settled := outgoing("late", 200*time.Millisecond)
	p.Publish([]*Outgoing{m})
	if f := wait(t, settled); !errors.Is(f.err, ErrInDoubt) || errors.Is(f.err, ErrNotStored) {
		t.Fatalf("at the deadline: %+v", f)
	}
	if late, err = heard.NextMsg(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	for len(settled) == 0 { // the one that comes at the very moment of giving up tells nothing
		if err := late.Respond([]byte(storedNow)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if f := wait(t, settled); f.err != nil || f.ack.Sequence != 1 {
		t.Fatalf("later: %+v", f)
	}
	if err := late.Respond([]byte(storedNow)); err != nil {
		t.Fatal(err)
	}
	other, again := outgoing("other", 200*time.Millisecond)
	p.Publish([]*Outgoing{other})
	wait(t, again) // the second answer to the late one is dealt with by now
	if len(settled) > 0 {
		t.Fatalf("settled once more: %+v", <-settled)
	}
}

// publishMany gives so many messages to a publisher and returns what each was settled with, by its Nats-Msg-Id.
func publishMany(t *testing.T, p *Publisher, many int, budget time.Duration) map[string]error {
	t.Helper()
	var group []*Outgoing
	var fates []<-chan fate
	for n := range many {
		m, settled := outgoing(fmt.Sprint(n), budget)
		group, fates = append(group, m), append(fates, settled)
	}
	p.Publish(group)
	all := map[string]error{}
	for n, settled := range fates {
		all[fmt.Sprint(n)] = wait(t, settled).err
	}
	return all
}

// While nothing is acknowledged, what waits is sent again at a trickle; a burst is for what is refused in a moment.
func TestWhatWaitsIsSentAgainAtATrickle(t *testing.T) {
	t.Parallel()
	const waiting, budget = 200, 3 * time.Second
	a, nc := act(t, func(string, int) string { return "" })
	p := publisher(t, nc)
	for id, err := range publishMany(t, p, waiting, budget) {
		if !errors.Is(err, ErrInDoubt) {
			t.Fatalf("%s: %v", id, err)
		}
	}
	for deadline := time.Now().Add(20 * time.Second); uint64(a.sent()-waiting) != p.Resent() && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) { // the last ones are on their way
	}
	again, most := a.sent()-waiting, resendBurst+resendTrickle*int(budget/sweepEvery)
	if again > most || again == 0 || p.Resent() != uint64(again) {
		t.Errorf("%d copies were sent again, %d are counted; at most %d are a burst and a trickle", again, p.Resent(), most)
	}
}

// A NATS that does not acknowledge is sent a window and no more, of the newest; the others were never sent, and are
// told apart.
func TestASilentNATSIsSentAWindowAndNoMore(t *testing.T) {
	t.Parallel()
	const waiting, budget = 3000, 1500 * time.Millisecond // less than lostAfter
	a, nc := act(t, func(string, int) string { return "" })
	all := publishMany(t, publisher(t, nc), waiting, budget)
	if n := a.sent(); n != smallestWindow {
		t.Errorf("%d copies were sent", n)
	}
	for id, err := range all {
		if sent := a.copies[id] > 0; sent != errors.Is(err, ErrInDoubt) || sent == errors.Is(err, ErrNotStored) {
			t.Errorf("%s was sent %d times: %v", id, a.copies[id], err)
		}
	}
	if a.copies[fmt.Sprint(waiting-1)] == 0 || a.copies["0"] > 0 {
		t.Error("not the newest were sent")
	}
}

func TestTheWindowIsWhatIsAcknowledgedInTwoSeconds(t *testing.T) {
	var w window
	for range 500 { // ten seconds
		w.recount(0, 100)
	}
	if room := w.room(); room < 9500 || room > 10_500 {
		t.Errorf("at 5,000 acknowledgements a second there is room for %d", room)
	}
	for range 500 {
		w.recount(100, 0)
	}
	if room := w.room(); room != smallestWindow-100 {
		t.Errorf("in silence, with 100 on their way, there is room for %d", room)
	}
}

func TestTheAllowanceIsAShareOfWhatIsAcknowledged(t *testing.T) {
	var due []*Outgoing
	for token := range uint64(10_000) {
		due = append(due, &Outgoing{token: token})
	}
	a := allowance{}
	for range 1000 { // a quiet time
		a.choose(nil, 0)
	}
	if n := len(a.choose(slices.Clone(due), 0)); n != resendBurst {
		t.Errorf("%d are sent again after a quiet time", n)
	}
	chosen := a.choose(slices.Clone(due), 1000)
	if len(chosen) != 1000*resendShare+resendTrickle {
		t.Errorf("%d are sent again after 1,000 acknowledgements", len(chosen))
	}
	if chosen[0].token != 9999 || chosen[1].token != 9998 {
		t.Errorf("not the newest first: %d, %d", chosen[0].token, chosen[1].token)
	}
}

// Silence is answered with copies that become rarer, and never all at once.
func TestPausesDoubleAndAreSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := &Outgoing{Msg: &nats.Msg{}}
		for n, base := range []time.Duration{ackWait, 2 * ackWait, 4 * ackWait, 4 * ackWait} {
			one.leave("inbox.", time.Now())
			if pause := time.Until(one.again); pause < base*3/4 || pause > base*5/4 {
				t.Errorf("after copy %d: %s", n+1, pause)
			}
		}
		if !strings.HasSuffix(one.Msg.Reply, "-3") {
			t.Errorf("the fourth copy is answered to %s", one.Msg.Reply)
		}
		pauses := map[time.Duration]bool{}
		for range 100 {
			m := &Outgoing{}
			m.refused(nats.ErrNoResponders, time.Now(), false)
			pauses[time.Until(m.again)] = true
		}
		if len(pauses) < 50 {
			t.Errorf("100 that are refused together come again at %d times", len(pauses))
		}
	})
}
