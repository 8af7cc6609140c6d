package files

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/telemetry"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// Row is an event in a file. Source and event are not in it: they are columns by the names of the folders, and readers
// such as pyarrow refuse a column that is in both.
type Row struct {
	Sequence int64      `parquet:"sequence,delta"`
	Received time.Time  `parquet:"received,timestamp(microsecond:utc)"`
	Sent     *time.Time `parquet:"sent,optional,timestamp(microsecond:utc)"` // the sender's timestamp; null where it has none
	Delivery string     `parquet:"delivery"`
	Identity string     `parquet:"identity"`
	Headers  string     `parquet:"headers,json"` // {"X-Zorio-Event": ["…"]}, those of the sender and of the gateway
	Body     []byte     `parquet:"body"`         // byte for byte as it came
}

func RowOf(e *event.Event, received time.Time) Row {
	return Row{
		Sequence: int64(e.Sequence), Received: received, Sent: sentOf(e), Delivery: e.Delivery, Identity: e.Identity,
		Headers: headersOf(e), Body: e.Body,
	}
}

func sentOf(e *event.Event) *time.Time {
	for _, value := range e.Header[zorio.HeaderTimestamp] {
		if seconds, err := strconv.ParseInt(value, 10, 64); err == nil {
			sent := time.Unix(seconds, 0).UTC()
			return &sent
		}
	}
	return nil
}

// headersOf leaves out those of NATS: the identity has a column, and the rest is about the delivery to this consumer.
func headersOf(e *event.Event) string {
	text, err := json.Marshal(event.WithoutNats(e.Header))
	if err != nil {
		panic(err) // strings can always be written
	}
	return string(text)
}

// Encode makes a file of rows.
func Encode(rows []Row, source, name string) ([]byte, error) {
	var file bytes.Buffer
	w := parquet.NewGenericWriter[Row](&file, parquet.Compression(&parquet.Zstd), parquet.CreatedBy("sluice", telemetry.Version(), ""),
		parquet.KeyValueMetadata("sluice.source", source), parquet.KeyValueMetadata("sluice.event", name))
	if _, err := w.Write(rows); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return file.Bytes(), nil
}

// EventsIn are the identities of the events in a file, by sequence.
func EventsIn(file []byte) (map[uint64]string, error) {
	rows, err := parquet.Read[struct {
		Sequence int64  `parquet:"sequence"`
		Identity string `parquet:"identity"`
	}](bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return nil, err
	}
	all := make(map[uint64]string, len(rows))
	for _, r := range rows {
		all[uint64(r.Sequence)] = r.Identity
	}
	return all, nil
}
