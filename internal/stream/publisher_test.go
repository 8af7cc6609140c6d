package stream

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// fate is what a message was settled with.
type fate struct {
	ack Ack
	err error
}

func publisher(t *testing.T, nc *nats.Conn) *Publisher {
	t.Helper()
	p, err := NewPublisher(nc)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// outgoing is a message whose fate can be waited for.
func outgoing(id string, budget time.Duration) (*Outgoing, <-chan fate) {
	settled := make(chan fate, 2) // a second one would be a bug to see
	msg := nats.NewMsg("events.zorio.test")
	msg.Header.Set("Nats-Msg-Id", id)
	return &Outgoing{Msg: msg, Deadline: time.Now().Add(budget), Settle: func(a Ack, err error) { settled <- fate{a, err} }}, settled
}

func wait(t *testing.T, settled <-chan fate) fate {
	t.Helper()
	select {
	case f := <-settled:
		return f
	case <-time.After(20 * time.Second):
		t.Fatal("never settled")
		return fate{}
	}
}

func TestPublishSettlesEachAtItsOwnAcknowledgement(t *testing.T) {
	t.Parallel()
	nc, js := served(t)
	if err := Declare(t.Context(), js, Settings{}); err != nil {
		t.Fatal(err)
	}
	p := publisher(t, nc)
	var group []*Outgoing
	var fates []<-chan fate
	for i := range 100 {
		m, settled := outgoing(fmt.Sprint("id-", i%50), time.Minute)
		group, fates = append(group, m), append(fates, settled)
	}
	p.Publish(group)
	for i, settled := range fates {
		f := wait(t, settled)
		if f.err != nil || f.ack.Duplicate != (i >= 50) || f.ack.Sequence != uint64(i%50+1) {
			t.Errorf("message %d: %+v", i, f)
		}
	}
}

func TestPublishIsSentAgainUntilTheStreamIsThere(t *testing.T) {
	t.Parallel()
	nc, js := served(t)
	p := publisher(t, nc)
	m, settled := outgoing("early", time.Minute)
	p.Publish([]*Outgoing{m})
	for p.Resent() == 0 { // nobody answers yet
		time.Sleep(time.Millisecond)
	}
	if err := Declare(t.Context(), js, Settings{}); err != nil {
		t.Fatal(err)
	}
	if f := wait(t, settled); f.err != nil || f.ack.Duplicate || f.ack.Sequence != 1 {
		t.Fatalf("got %+v", f)
	}
}

func TestPublishGivesUpAtTheDeadlineAndSaysWhy(t *testing.T) {
	t.Parallel()
	nc, _ := served(t)
	p := publisher(t, nc)
	m, settled := outgoing("never", 200*time.Millisecond)
	p.Publish([]*Outgoing{m})
	f := wait(t, settled)
	if !errors.Is(f.err, ErrNotStored) || !errors.Is(f.err, nats.ErrNoResponders) {
		t.Fatalf("got %v", f.err)
	}
	select {
	case again := <-settled:
		t.Fatalf("settled twice: %+v", again)
	default:
	}
}

func TestPublishOutlivesARestartOfTheServer(t *testing.T) {
	t.Parallel()
	s := StartNats(t, "")
	nc, js := connected(t, Options{URL: s.URL()})
	if err := Declare(t.Context(), js, Settings{}); err != nil {
		t.Fatal(err)
	}
	p := publisher(t, nc)
	s.Kill()
	m, settled := outgoing("meanwhile", time.Minute)
	p.Publish([]*Outgoing{m})
	s.Restart()
	if f := wait(t, settled); f.err != nil || f.ack.Duplicate {
		t.Fatalf("got %+v", f)
	}
}

func TestCloseGivesUpWhatIsWaiting(t *testing.T) {
	t.Parallel()
	nc, _ := served(t)
	p, err := NewPublisher(nc)
	if err != nil {
		t.Fatal(err)
	}
	m, settled := outgoing("left", time.Minute)
	p.Publish([]*Outgoing{m})
	p.Close()
	if f := wait(t, settled); !errors.Is(f.err, ErrNotStored) {
		t.Fatalf("got %+v", f)
	}
}

func TestTheOutcomeIsThatOfTheLastPublishes(t *testing.T) {
	t.Parallel()
	nc, js := served(t)
	p := publisher(t, nc)
	if o := p.Outcome(); o.Err != nil || !o.Acked.IsZero() {
		t.Errorf("before the first publish: %+v", o)
	}
	first, settled := outgoing("first", 100*time.Millisecond)
	p.Publish([]*Outgoing{first})
	wait(t, settled)
	second, settled := outgoing("second", 200*time.Millisecond)
	p.Publish([]*Outgoing{second})
	wait(t, settled)
	if o := p.Outcome(); !errors.Is(o.Err, ErrNotStored) || !o.Acked.IsZero() || o.Since.After(second.Deadline) {
		t.Errorf("while there is no stream: %+v", o)
	}
	if err := Declare(t.Context(), js, Settings{}); err != nil {
		t.Fatal(err)
	}
	third, settled := outgoing("third", time.Minute)
	p.Publish([]*Outgoing{third})
	wait(t, settled)
	if o := p.Outcome(); o.Err != nil || !o.Since.IsZero() || time.Since(o.Acked) > time.Minute {
		t.Errorf("once it is stored: %+v", o)
	}
}
