package stream

import (
	"testing"

	"github.com/nats-io/nats.go"
)

func FuzzParseAck(f *testing.F) {
	f.Add([]byte(`{"stream":"EVENTS","seq":7}`))
	f.Add([]byte(`{"stream":"EVENTS","seq":07}`))
	f.Add([]byte(`{"stream":"EVENTS","seq":7,"duplicate":true}`))
	f.Add([]byte(`{"stream":"EVENTS","domain":"hub","seq":7}`))
	f.Add([]byte(`{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		ack, err := parseAck(&nats.Msg{Data: data})
		if err == nil && (ack.Sequence == 0 || ack.Stream == "") {
			t.Fatalf("%q is taken for an acknowledgement", data)
		}
		if decoded, asJSON := decodeAck(data); ack != decoded || (err == nil) != (asJSON == nil) {
			t.Fatalf("%q is %+v (%v), and as JSON %+v (%v)", data, ack, err, decoded, asJSON)
		}
	})
}

func BenchmarkParseAck(b *testing.B) {
	answer := &nats.Msg{Data: []byte(`{"stream":"EVENTS","seq":1234567}`)}
	for name, parse := range map[string]func() (Ack, error){
		"plain": func() (Ack, error) { return parseAck(answer) },
		"JSON":  func() (Ack, error) { return decodeAck(answer.Data) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := parse(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
