package journal

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// Entry is a delivery as it lies in the journal: the message that it will be in a stream.
type Entry struct {
	Subject string
	Header  nats.Header // one value each
	Data    []byte
	Sent    time.Time // when a copy left for NATS that may be stored there, or this one came and nobody could tell; zero where neither is so
}

// IsEvent reports whether it belongs to EVENTS; it belongs to QUARANTINE otherwise.
func (e *Entry) IsEvent() bool { return strings.HasPrefix(e.Subject, "events.") }

// entryVersion is the first byte of every entry.
const entryVersion = 1

// ErrEntry means that a record is not an entry, or one of an unknown version.
var ErrEntry = errors.New("not an entry of this version")

// Append adds the entry's bytes to a record. It keeps nothing of the entry and changes nothing in it.
func (e *Entry) Append(record []byte) []byte {
	var sent int64
	if !e.Sent.IsZero() {
		sent = e.Sent.UnixNano()
	}
	record = append(record, entryVersion)
	record = binary.AppendVarint(record, sent)
	record = appendText(record, e.Subject)
	record = binary.AppendUvarint(record, uint64(len(e.Header)))
	for name, values := range e.Header {
		record = appendText(record, name)
		record = appendText(record, values[0])
	}
	return append(record, e.Data...)
}

func appendText(record []byte, text string) []byte {
	record = binary.AppendUvarint(record, uint64(len(text)))
	return append(record, text...)
}

// Size is about how many bytes Append adds.
func (e *Entry) Size() int { return len(e.Subject) + len(e.Data) + 64*(len(e.Header)+1) }

// ParseEntry reads what Append wrote. The data is a part of the record, everything else a copy; the header has room for
// more. The error is [ErrEntry].
func ParseEntry(record []byte) (*Entry, error) {
	r := reader{whole: string(record), rest: record}
	if version := r.bytes(1); r.failed || version[0] != entryVersion {
		return nil, ErrEntry
	}
	e := &Entry{}
	if sent := r.varint(); sent != 0 {
		e.Sent = time.Unix(0, sent)
	}
	e.Subject = r.text()
	count := r.uvarint()
	if r.failed || count > uint64(len(r.rest)) {
		return nil, ErrEntry
	}
	e.Header = make(nats.Header, count+headerRoom)
	values := make([]string, count)
	for i := range values {
		name := r.text()
		values[i] = r.text()
		e.Header[name] = values[i : i+1 : i+1]
	}
	if r.failed {
		return nil, ErrEntry
	}
	e.Data = slices.Clip(r.rest)
	return e, nil
}

// headerRoom is for what a batch adds to each message: its id, the number in it, the end.
const headerRoom = 3

// reader takes a record apart. After a failure it returns nothing.
type reader struct {
	whole  string // what texts are parts of: one copy is cheaper than one for each
	rest   []byte
	failed bool
}

func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.failed, r.rest = true, nil
		return nil
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *reader) uvarint() uint64 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.failed, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

func (r *reader) varint() int64 {
	n := r.uvarint()
	return int64(n>>1) ^ -int64(n&1)
}

func (r *reader) text() string {
	n := len(r.bytes(r.uvarint()))
	end := len(r.whole) - len(r.rest)
	return r.whole[end-n : end]
}
