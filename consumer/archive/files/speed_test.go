package files

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// BenchmarkFiles is how fast 20,000 events become a file on the disk, as a part of the rate at which zstd alone compresses
// their bytes on one core. The two take turns, five rounds.
//
//	GOMAXPROCS=1 go test -run '^$' -bench Files -benchtime 1x ./consumer/archive/files
func BenchmarkFiles(b *testing.B) {
	folder, err := openFolder(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	var ratios, alone, written []float64
	for round := range 5 {
		events := calls(20_000)
		var plain []byte
		for _, e := range events {
			plain = append(append(plain, headersOf(e)...), e.Body...)
		}
		megabytes := float64(len(plain)) / 1e6
		begin := time.Now()
		compress(b, plain)
		alone = append(alone, megabytes/time.Since(begin).Seconds())
		begin = time.Now()
		rows := make([]Row, len(events))
		for i, e := range events {
			rows[i] = RowOf(e, e.Received)
		}
		content, err := Encode(rows, zorio.Source, "pbx.call.hangup")
		if err != nil {
			b.Fatal(err)
		}
		if err := folder.Write(b.Context(), fmt.Sprint("round-", round), content); err != nil {
			b.Fatal(err)
		}
		written = append(written, megabytes/time.Since(begin).Seconds())
		ratios = append(ratios, written[round]/alone[round])
	}
	for _, all := range [][]float64{ratios, alone, written} {
		slices.Sort(all)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(alone[2], "zstd-MB/s")
	b.ReportMetric(written[2], "archive-MB/s")
	b.ReportMetric(ratios[2], "ratio")
	b.ReportMetric(ratios[0], "least")
	b.ReportMetric(ratios[4], "most")
}

// calls are events like those that Zorio sends: much repeats, the ids do not.
func calls(count int) []*event.Event {
	all := make([]*event.Event, count)
	for i := range all {
		id := fmt.Sprintf("%016x%016x", rand.Uint64(), rand.Uint64())
		body := fmt.Sprintf(`{"event":"pbx.call.hangup","timestamp":"2026-11-23T03:30:%02dZ","data":{"call_uuid":"%s","caller_id_number":"+49%010d","destination_number":"%d","duration":%d,"billsec":%d,"hangup_cause":"NORMAL_CLEARING","direction":"inbound","recording_url":"https://recordings.example.com/%s.mp3","queue":"support","agent":"agent-%d"}}`,
			i%60, id, rand.Uint64N(1e10), 100+rand.IntN(900), rand.IntN(600), rand.IntN(600), id, rand.IntN(50))
		all[i] = &event.Event{Source: zorio.Source, Name: "pbx.call.hangup", Identity: id + "/0123456789abcdef", Delivery: id, Received: time.Now().UTC(), Sequence: uint64(i + 1), Body: []byte(body),
			Header: map[string][]string{
				zorio.HeaderEvent: {"pbx.call.hangup"}, zorio.HeaderDelivery: {id}, zorio.HeaderTimestamp: {"1763000000"}, zorio.HeaderSignature: {"sha256=" + id + id},
				event.HeaderSource: {"zorio"}, event.HeaderReceived: {time.Now().UTC().Format(time.RFC3339Nano)},
			}}
	}
	return all
}

func compress(b *testing.B, plain []byte) {
	b.Helper()
	if _, err := parquet.Zstd.Encode(nil, plain); err != nil {
		b.Fatal(err)
	}
}
