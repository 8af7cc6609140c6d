package event

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestValidName(t *testing.T) {
	for name, want := range map[string]bool{
		"pbx.call.hangup": true, "a": true, "A-b_9.c": true, strings.Repeat("x", 128): true,
		"": false, ".": false, "a.": false, ".a": false, "a..b": false, "a b": false, "a.*": false, "a.>": false, "$JS": false,
		"é": false, "a\x00": false, "a\n": false, strings.Repeat("x", 129): false,
	} {
		if got := ValidName(name); got != want {
			t.Errorf("ValidName(%q) = %v, want %v", name, got, want)
		}
	}
}

func FuzzValidName(f *testing.F) {
	f.Add("pbx.call.hangup")
	f.Fuzz(func(t *testing.T, name string) {
		if !ValidName(name) {
			return
		}
		if strings.ContainsAny(name, "*> \t\r\n$") || strings.Contains("."+name+".", "..") {
			t.Fatalf("%q is taken for a name and cannot be a subject", name)
		}
	})
}

func TestIdentityKeepsDeliveryAndSignatureApart(t *testing.T) {
	digits := strings.Repeat("0123456789abcdef", 4)
	for _, c := range []struct{ identity, delivery, signature string }{
		{Identity("id-1", digits), "id-1", "0123456789abcdef"},
		{Identity("a/b", digits), "a/b", "0123456789abcdef"},
		{digits, digits, digits},
	} {
		delivery, signature := SplitIdentity(c.identity)
		if delivery != c.delivery || signature != c.signature {
			t.Errorf("%q splits into %q and %q", c.identity, delivery, signature)
		}
	}
}

func TestParse(t *testing.T) {
	received := time.Date(2026, 11, 23, 3, 30, 0, 123456789, time.UTC)
	header := map[string][]string{
		HeaderID: {"id-1/0123456789abcdef"}, HeaderReceived: {received.Format(time.RFC3339Nano)},
	}
	e, err := Parse(Subject("zorio", "pbx.call.hangup"), header, []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	if e.Source != "zorio" || e.Name != "pbx.call.hangup" || e.Delivery != "id-1" || !e.Received.Equal(received) {
		t.Errorf("got %+v", e)
	}
	for _, subject := range []string{"", "events", "events.zorio", "events.zorio.", "events..a", "dead.pbx.zorio", "retry.pbx.wait.zorio.a", "quarantine.zorio.late", "events.zorio.a..b"} {
		if _, err := Parse(subject, nil, nil); !errors.Is(err, ErrSubject) {
			t.Errorf("Parse(%q): %v", subject, err)
		}
	}
}

func TestValidPattern(t *testing.T) {
	for pattern, want := range map[string]bool{
		">": true, "pbx.>": true, "pbx.call.*": true, "*.call.hangup": true, "pbx.call.hangup": true,
		"": false, "pbx.": false, "pbx.>.x": false, ">.x": false, "pbx.call*": false, "pbx call": false, strings.Repeat("x.", 100) + "x": false,
	} {
		if got := ValidPattern(pattern); got != want {
			t.Errorf("ValidPattern(%q) = %v, want %v", pattern, got, want)
		}
	}
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		filter, subject string
		want            bool
	}{
		{">", "a", true}, {"a.>", "a.b.c", true}, {"a.>", "a", false}, {"a.*", "a.b", true}, {"a.*", "a.b.c", false}, {"*.b", "a.b", true},
		{"a.b", "a.b", true}, {"a.b", "a.c", false}, {"a.b", "a", false}, {"a", "a.b", false}, {"", "a", false},
	} {
		if got := Match(c.filter, c.subject); got != c.want {
			t.Errorf("Match(%q, %q) = %v", c.filter, c.subject, got)
		}
	}
}

func TestACopyKeepsTheEventAndWhatFailed(t *testing.T) {
	header := map[string][]string{HeaderID: {"id-1/0123456789abcdef"}, "X-Zorio-Delivery": {"id-1"}, "Nats-Schedule": {"x"}}
	e, err := Parse(Subject("zorio", "a.b"), header, []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	e.Sequence = 42
	at := time.Date(2026, 11, 23, 3, 30, 0, 5, time.UTC)
	for attempt := 1; attempt <= 30; attempt++ {
		e.Attempt = attempt
		e = e.Failed(at.Add(time.Duration(attempt)), fmt.Errorf("no\r\nForged: %d \xff", attempt))
	}
	for _, subject := range []string{RetrySubject("pbx", "zorio", "a.b"), DeadSubject("pbx", "zorio", "a.b"), ReplaySubject("pbx", "zorio", "a.b")} {
		c, err := Parse(subject, e.Copy(), e.Body)
		if err != nil {
			t.Fatal(err)
		}
		if c.Identity != "id-1/0123456789abcdef" || c.Delivery != "id-1" || c.Sequence != 42 || c.Attempt != 30 || c.Name != "a.b" || c.Source != "zorio" {
			t.Errorf("%s: %+v", subject, c)
		}
		if len(c.Failures) != maxFailures || c.Failures[0] != (Failure{at.Add(1), "no Forged: 1 �"}) || c.Failures[maxFailures-1].Error != "no Forged: 30 �" {
			t.Errorf("%s: failures %v", subject, c.Failures)
		}
		if c.Header["X-Zorio-Delivery"] == nil || c.Header[HeaderID] != nil || c.Header["Nats-Schedule"] != nil {
			t.Errorf("%s: headers %v", subject, c.Header)
		}
	}
	if header[HeaderID] == nil || header[HeaderIdentity] != nil {
		t.Error("the event's own headers were changed")
	}
}
