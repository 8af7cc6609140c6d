package stream

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// soon is before any deadline of these tests: what is settled by then was given up for a reason.
const soon = 3 * time.Second

// fateOf publishes one message and returns what it was settled with, which has to be soon.
func fateOf(t *testing.T, p *Publisher, m *Outgoing, settled <-chan fate) fate {
	t.Helper()
	begin := time.Now()
	p.Publish([]*Outgoing{m})
	f := wait(t, settled)
	if took := time.Since(begin); took > soon {
		t.Errorf("settled after %s", took)
	}
	return f
}

// What can never be stored is told at once, and NATS is not blamed.
func TestWhatCanNeverBeStoredIsGivenUpAtOnce(t *testing.T) {
	t.Parallel()
	nc, js := served(t)
	if err := Declare(t.Context(), js, Settings{}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "SMALL", Subjects: []string{"small"}, MaxMsgSize: 1000}); err != nil {
		t.Fatal(err)
	}
	p := publisher(t, nc)
	for name, spoil := range map[string]func(*nats.Msg){
		"a header name with a space":   func(m *nats.Msg) { m.Header["X-Zorio-A B"] = []string{"v"} },
		"a header name with a newline": func(m *nats.Msg) { m.Header["X-Zorio-A\r\nB"] = []string{"v"} },
		"a subject with a space":       func(m *nats.Msg) { m.Subject = "events.zorio.a b" },
		"more than the server takes":   func(m *nats.Msg) { m.Data = make([]byte, 8<<20+1) },
		"more headers than the server": func(m *nats.Msg) { m.Header.Set("X-Zorio-Big", strings.Repeat("x", 64<<10)) },
		"more than the stream takes":   func(m *nats.Msg) { m.Subject, m.Data = "small", make([]byte, 1001) },
	} {
		m, settled := outgoing(name, time.Minute)
		spoil(m.Msg)
		if f := fateOf(t, p, m, settled); !errors.Is(f.err, ErrUnstorable) {
			t.Errorf("%s: %v", name, f.err)
		}
	}
	if o := p.Outcome(); o.Err != nil {
		t.Errorf("NATS is blamed: %v", o.Err)
	}
	m, settled := outgoing("good", time.Minute)
	if f := fateOf(t, p, m, settled); f.err != nil {
		t.Errorf("one that can be stored: %v", f.err)
	}
}

// A stream that is full answers at once, and stores again once there is room.
func TestAFullStreamRefusesAtOnce(t *testing.T) {
	t.Parallel()
	nc, js := served(t)
	full := jetstream.StreamConfig{Name: "FULL", Subjects: []string{"events.>"}, MaxBytes: 2000, Discard: jetstream.DiscardNew}
	if _, err := js.CreateStream(t.Context(), full); err != nil {
		t.Fatal(err)
	}
	p := publisher(t, nc)
	m, settled := outgoing("large", time.Minute)
	m.Msg.Data = make([]byte, 3000)
	if f := fateOf(t, p, m, settled); !errors.Is(f.err, ErrRefused) {
		t.Errorf("without room: %v", f.err)
	}
	if o := p.Outcome(); !errors.Is(o.Err, ErrRefused) {
		t.Errorf("the outcome is %+v", o)
	}
	var group []*Outgoing
	var fates []<-chan fate
	for range 2000 { // more than may be sent again
		m, settled := outgoing("more", time.Minute)
		m.Msg.Data = make([]byte, 3000)
		group, fates = append(group, m), append(fates, settled)
	}
	begin := time.Now()
	p.Publish(group)
	for _, settled := range fates {
		if f := wait(t, settled); !errors.Is(f.err, ErrRefused) {
			t.Fatalf("many without room: %v", f.err)
		}
	}
	if took := time.Since(begin); took > soon {
		t.Errorf("many are refused after %s", took)
	}
	full.MaxBytes = 10_000
	if _, err := js.UpdateStream(t.Context(), full); err != nil {
		t.Fatal(err)
	}
	m, settled = outgoing("again", time.Minute)
	m.Msg.Data = make([]byte, 3000)
	if f := fateOf(t, p, m, settled); f.err != nil || p.Outcome().Err != nil {
		t.Errorf("with room: %v, %+v", f.err, p.Outcome())
	}
}

// NATS tells the connection, and not the message, that its user may not publish there.
func TestWhatThisUserMayNotPublishIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	s := StartNats(t, `authorization { users: [{ user: gw, password: secret, permissions: { publish: { deny: "events.>" } } }] }`)
	heard := make(chan error, 1)
	nc, err := nats.Connect(s.URL(), nats.UserInfo("gw", "secret"),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { heard <- err }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	p := publisher(t, nc)
	m, settled := outgoing("forbidden", time.Minute)
	if f := fateOf(t, p, m, settled); !errors.Is(f.err, ErrRefused) || !errors.Is(f.err, nats.ErrPermissionViolation) {
		t.Errorf("got %v", f.err)
	}
	if err := <-heard; !errors.Is(err, nats.ErrPermissionViolation) {
		t.Errorf("the connection's own handler hears %v", err)
	}
}
