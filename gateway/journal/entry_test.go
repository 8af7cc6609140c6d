package journal

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

func TestAnEntryIsReadAsItWasWritten(t *testing.T) {
	for name, want := range map[string]Entry{
		"event": {Subject: "events.zorio.pbx.call.ringing", Header: nats.Header{"Nats-Msg-Id": {"a/b"}, "X-Zorio-Timestamp": {"1761000000"}, "Empty": {""}}, Data: []byte("{\"a\":1}\x00\xff")},
		"sent":  {Subject: "events.zorio.a", Header: nats.Header{}, Data: []byte("x"), Sent: time.Unix(1761000000, 123456789)},
		"early": {Subject: "events.zorio.a", Header: nats.Header{}, Data: []byte("x"), Sent: time.Unix(-5, 0)},
		"empty": {Header: nats.Header{}},
	} {
		got, err := ParseEntry(want.Append(nil))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got.Subject != want.Subject || !reflect.DeepEqual(got.Header, want.Header) || !bytes.Equal(got.Data, want.Data) || !got.Sent.Equal(want.Sent) {
			t.Errorf("%s: %+v, want %+v", name, *got, want)
		}
	}
}

// Whatever bytes a record has, it is an entry that would be written the same way, or none.
func FuzzParseEntry(f *testing.F) {
	f.Add((&Entry{Subject: "s", Header: nats.Header{"A": {"b"}, "C": {""}}, Data: []byte("d"), Sent: time.Unix(1, 2)}).Append(nil))
	f.Add([]byte{})
	f.Add([]byte{entryVersion, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, record []byte) {
		e, err := ParseEntry(record)
		if err != nil {
			return
		}
		again, err := ParseEntry(e.Append(nil))
		if err != nil || again.Subject != e.Subject || !reflect.DeepEqual(again.Header, e.Header) || !bytes.Equal(again.Data, e.Data) || !again.Sent.Equal(e.Sent) {
			t.Fatalf("%+v became %+v (%v)", e, again, err)
		}
	})
}
