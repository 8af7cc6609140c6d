package event

import (
	"errors"
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
	for _, subject := range []string{"", "events", "events.zorio", "events.zorio.", "dead.pbx.zorio.a", "events.zorio.a..b"} {
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
