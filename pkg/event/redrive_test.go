package event

import (
	"errors"
	"testing"
	"time"
)

func TestARedrivenLetterStartsAgainAndRemembers(t *testing.T) {
	at := time.Date(2026, 11, 23, 3, 30, 0, 0, time.UTC)
	e, err := Parse(ReplaySubject("pbx", "zorio", "a.b"), map[string][]string{
		HeaderIdentity: {"id-1/0123456789abcdef"}, HeaderSequence: {"42"}, HeaderReplay: {"r1"}, "X-Zorio-Delivery": {"id-1"}}, []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	for dead := uint64(1); dead <= 2; dead++ { // it dies, is sent back, and dies again
		e.Attempt = 1
		letter := e.Failed(at, errors.New("poison")).Copy()
		letter[HeaderTeam], letter[HeaderReason], letter[HeaderError] = []string{"pbx"}, []string{"exhausted"}, []string{"poison"}
		if e, err = Parse(DeadSubject("pbx", "zorio", "a.b"), letter, e.Body); err != nil {
			t.Fatal(err)
		}
		if e, err = Parse(ReplaySubject("pbx", "zorio", "a.b"), e.Redrive(dead, at, "ops@host"), e.Body); err != nil {
			t.Fatal(err)
		}
		if e.Attempt != 0 || len(e.Failures) != 0 || e.Identity != "id-1/0123456789abcdef" || e.Sequence != 42 || e.Replay != "r1" {
			t.Errorf("%+v", e)
		}
		if e.Header[HeaderTeam] != nil || e.Header[HeaderReason] != nil || e.Header[HeaderError] != nil || e.Header["X-Zorio-Delivery"] == nil {
			t.Errorf("headers %v", e.Header)
		}
	}
	history := History(e.Header)
	if len(history) != 4 || history[0].Error != "poison" || history[3] != (Failure{at, "redriven from DEAD #2 by ops@host"}) {
		t.Errorf("history %v", history)
	}
	if before := Redriven(e.Header); len(before) != 2 || before[0] != 1 || before[1] != 2 {
		t.Errorf("redriven %v", before)
	}
}

func TestTheHistoryIsBounded(t *testing.T) {
	e, err := Parse(DeadSubject("pbx", "zorio", "a"), map[string][]string{HeaderError: {"old"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for dead := range uint64(200) {
		header := e.Redrive(dead, time.Now(), "ops")
		header[HeaderError] = []string{"again"}
		if e, err = Parse(DeadSubject("pbx", "zorio", "a"), header, nil); err != nil {
			t.Fatal(err)
		}
	}
	if lines := len(e.Header[HeaderHistory]); lines != maxHistory {
		t.Errorf("%d lines", lines)
	}
}
