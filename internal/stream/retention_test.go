package stream

import (
	"math"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

func TestUntilDropped(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	// 1,000 bytes came within the last 100 s, in 100 messages.
	state := jetstream.StreamState{Bytes: 1000, FirstSeq: 1, LastSeq: 100, FirstTime: now.Add(-100 * time.Second)}
	for name, c := range map[string]struct {
		age   time.Duration
		bytes int64
		seq   uint64
		want  time.Duration
	}{
		"by age":                        {time.Hour, -1, 1, 59 * time.Minute},
		"no bound":                      {0, -1, 1, math.MaxInt64},
		"full, the first":               {0, 1000, 1, 0},
		"full, in the middle":           {0, 1000, 51, 50 * time.Second},
		"half full, the first":          {0, 2000, 1, 100 * time.Second},
		"both bounds, the age is first": {2 * time.Minute, 3000, 1, time.Minute},
		"both, the bytes are first":     {time.Hour, 1000, 11, 10 * time.Second},
	} {
		info := &jetstream.StreamInfo{Config: jetstream.StreamConfig{MaxAge: c.age, MaxBytes: c.bytes}, State: state}
		if got := UntilDropped(info, c.seq, now.Add(-time.Minute), now); got.Round(time.Second) != c.want.Round(time.Second) {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
