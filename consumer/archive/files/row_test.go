package files

import (
	"bytes"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/zorio"
)

func TestAFileHasTypedColumnsAndTheBodyAsItCame(t *testing.T) {
	received := time.Date(2026, 11, 24, 8, 59, 59, 999999000, time.UTC)
	e := &event.Event{Source: "zorio", Name: "pbx.call.hangup", Sequence: 42, Delivery: "id-1", Identity: "id-1/0123456789abcdef", Body: []byte("{\"é\": \"\\u00e9\"}\n"),
		Header: map[string][]string{zorio.HeaderTimestamp: {"1795510799"}, "Nats-Msg-Id": {"x"}, "Sluice-Source": {"zorio"}}}
	want := RowOf(e, received)
	without := RowOf(&event.Event{Sequence: 43}, received)
	content, err := Encode([]Row{want, without}, e.Source, e.Name)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := parquet.Read[Row](bytes.NewReader(content), int64(len(content)))
	if err != nil || len(rows) != 2 {
		t.Fatalf("%v, %v", rows, err)
	}
	got := rows[0]
	if got.Headers != `{"Sluice-Source":["zorio"],"X-Zorio-Timestamp":["1795510799"]}` || !got.Received.Equal(received) || !got.Sent.Equal(time.Unix(1795510799, 0)) || !bytes.Equal(got.Body, e.Body) || got.Sequence != 42 || got.Delivery != "id-1" || got.Identity != e.Identity {
		t.Errorf("got %+v", got)
	}
	if rows[1].Sent != nil || rows[1].Headers != "{}" {
		t.Errorf("got %+v", rows[1])
	}
	file, err := parquet.OpenFile(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	const schema = `message Row {
	required int64 sequence (INT(64,true));
	required int64 received (TIMESTAMP(isAdjustedToUTC=true,unit=MICROS));
	optional int64 sent (TIMESTAMP(isAdjustedToUTC=true,unit=MICROS));
	required binary delivery (STRING);
	required binary identity (STRING);
	required binary headers (JSON);
	required binary body;
}`
	if got := file.Schema().String(); got != schema {
		t.Errorf("the schema is\n%s", got)
	}
	if source, _ := file.Lookup("sluice.source"); source != "zorio" {
		t.Errorf("source %q", source)
	}
	events, err := EventsIn(content)
	if err != nil || !reflect.DeepEqual(slices.Sorted(maps.Keys(events)), []uint64{42, 43}) {
		t.Errorf("%v, %v", events, err)
	}
}

func TestFoldersAreByTheHourOfReceiptInUTC(t *testing.T) {
	zone := time.FixedZone("east", 2*60*60)
	for received, want := range map[time.Time]string{
		time.Date(2026, 11, 24, 8, 59, 59, 999999999, time.UTC): "source=zorio/event=a.b/date=2026-11-24/hour=08/",
		time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC):           "source=zorio/event=a.b/date=2026-11-24/hour=09/",
		time.Date(2026, 11, 25, 1, 30, 0, 0, zone):              "source=zorio/event=a.b/date=2026-11-24/hour=23/",
	} {
		if got := FolderOf("zorio", "a.b", received); got != want {
			t.Errorf("%s: %s", received, got)
		}
	}
	stored := time.Date(2026, 11, 24, 10, 0, 0, 0, zone)
	if got := ReceivedOr(&event.Event{}, stored); got.Hour() != 8 {
		t.Errorf("an event that does not say when it was received: %s", got)
	}
}

func TestFileNamesAreRead(t *testing.T) {
	for name, want := range map[string]struct {
		Span
		copy int
	}{
		"hour=08/0000000001-0000004096.parquet": {Span{1, 4096}, 0}, "12345678901-12345678902.parquet": {Span{12345678901, 12345678902}, 0},
		"0000000001-0000004096-2.parquet": {Span{1, 4096}, 2},
	} {
		if got, ok := SpanOf(name); !ok || got != want.Span || !bytes.HasSuffix([]byte(name), []byte(got.FileName(want.copy))) {
			t.Errorf("%s: %v %t", name, got, ok)
		}
	}
	for _, name := range []string{"compacted.parquet", "0000000001-0000004096.csv", "0000000001.parquet", ""} {
		if _, ok := SpanOf(name); ok {
			t.Errorf("%q is taken for the archive's", name)
		}
	}
}
