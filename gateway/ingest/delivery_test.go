package ingest

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/zorio"
)

func TestIdentities(t *testing.T) {
	digits := strings.Repeat("0123456789abcdef", 4)
	header := []byte("sha256=" + digits)
	for delivery, want := range map[string]string{
		"id": "id/0123456789abcdef", "": "sig-" + digits[:32] + "/0123456789abcdef", "a b": "sig-" + digits[:32] + "/0123456789abcdef",
		strings.Repeat("x", 129): "sig-" + digits[:32] + "/0123456789abcdef", strings.Repeat("x", 128): strings.Repeat("x", 128) + "/0123456789abcdef",
	} {
		if got := identityOf([]byte(delivery), header, false); got != want {
			t.Errorf("%q: %s, want %s", delivery, got, want)
		}
	}
	if got := identityOf([]byte("id"), header, true); got != digits {
		t.Errorf("of the body alone: %s", got)
	}
}

func FuzzSeconds(f *testing.F) {
	for _, seed := range []string{"1764000000", "", "-1", "+1", "0x10", "1e9", " 1", "99999999999", "999999999999", "1_0"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, header []byte) {
		got := seconds(header)
		if got < 0 {
			t.Fatalf("%q: %d", header, got)
		}
		if got == 0 {
			return
		}
		if text := strings.TrimLeft(string(header), "0"); text != strconv.FormatInt(got, 10) {
			t.Fatalf("%q is taken for %d", header, got)
		}
	})
}

// BenchmarkMessage makes the message of one delivery as Zorio sends it.
func BenchmarkMessage(b *testing.B) {
	r := request{delivery: []byte("0d5c1f0e-5a1f-4a57-9a0e-3d1c6b6a2f11"), signature: []byte("sha256=" + strings.Repeat("0123456789abcdef", 4)), body: make([]byte, 512)}
	for _, f := range []struct{ key, value string }{{zorio.HeaderEvent, "pbx.cdr.created"}, {zorio.HeaderTimestamp, "1764000000"}, {zorio.HeaderDelivery, string(r.delivery)}, {zorio.HeaderSignature, string(r.signature)}} {
		r.fields[r.count] = field{[]byte(f.key), []byte(f.value)}
		r.count++
	}
	d := &delivery{received: time.Now()}
	b.ReportAllocs()
	for b.Loop() {
		d.identity = identityOf(r.delivery, r.signature, false)
		d.Msg = r.message("zorio", d, "events.zorio.pbx.cdr.created", d.identity)
	}
}
