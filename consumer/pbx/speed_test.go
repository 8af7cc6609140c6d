package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

// BenchmarkDrain has the real consumer work off events that wait, each of a call of its own, each in its tables before it
// is acknowledged. What counts is the ratio to how often this disk syncs: that is in both numbers.
//
//	go test -run '^$' -bench Drain -benchtime 40000x ./consumer/pbx
func BenchmarkDrain(b *testing.B) {
	for name, environment := range map[string][]string{
		"SQLite":     {"SLUICE_DATA=" + b.TempDir()},
		"PostgreSQL": {"DATABASE_URL=" + rig.StartPostgres(b).URL()},
	} {
		b.Run(name, func(b *testing.B) {
			server := rig.StartQuickNats(b, "")
			js := server.Declared()
			waiting(b, js, b.N)
			syncs := syncs(b)
			b.ResetTimer()
			rig.Start(b, rig.Build(b, "./consumer/pbx"), nil, rig.Environment(append(environment, "NATS_URL="+server.URL())...))
			rig.Eventually(b, 10*time.Minute, "every event is acknowledged", func() bool {
				info, err := consumerInfo(b, js)
				return err == nil && info.NumPending == 0 && info.NumAckPending == 0
			})
			rate := float64(b.N) / b.Elapsed().Seconds()
			b.ReportMetric(rate, "events/s")
			b.ReportMetric(rate/syncs, "of-syncs")
		})
	}
}

func consumerInfo(b *testing.B, js jetstream.JetStream) (*jetstream.ConsumerInfo, error) {
	durable, err := js.Consumer(b.Context(), stream.Events, team.Name)
	if err != nil {
		return nil, err
	}
	return durable.CachedInfo(), nil
}

// waiting publishes so many events.
func waiting(b *testing.B, js jetstream.JetStream, events int) {
	for n := range events {
		msg := nats.NewMsg(event.Subject("zorio", ringing))
		msg.Header.Set(event.HeaderID, fmt.Sprintf("id-%d/0123456789abcdef", n))
		msg.Data = fmt.Appendf(nil, `{"event":%q,"timestamp":"2026-11-23T03:30:00Z","data":{"call_uuid":"%d"}}`, ringing, n)
		if _, err := js.PublishMsgAsync(msg, jetstream.WithStallWait(time.Minute)); err != nil {
			b.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
}

// syncs is how often a second this disk syncs 4 KiB.
func syncs(b *testing.B) float64 {
	file, err := os.Create(filepath.Join(b.TempDir(), "file"))
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	count, block, begin := 0, make([]byte, 4096), time.Now()
	for ; time.Since(begin) < 2*time.Second; count++ {
		if _, err := file.Write(block); err != nil {
			b.Fatal(err)
		}
		if err := file.Sync(); err != nil {
			b.Fatal(err)
		}
	}
	return float64(count) / time.Since(begin).Seconds()
}
