package drain

import (
	"bytes"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sluicehq/sluice/gateway/journal"
	"github.com/sluicehq/sluice/pkg/event"
)

// entry is one of the journal, and what it says.
type entry struct {
	index    uint64
	record   []byte
	parsed   *journal.Entry // until it is used
	identity string
	subject  string
	isEvent  bool      // it belongs to EVENTS, else to QUARANTINE
	sent     time.Time // by the process that kept it; zero where it did not
	received time.Time
	trace    string // the traceparent of its request; empty where none was traced or sent
}

// read takes the next batch, and tells the index behind it. What cannot be read is set aside: another version wrote it.
func (d *Drain) read() (batch []*entry, end uint64, err error) {
	size, most := 0, min(batchBytes, int(d.Journal.Bytes()+d.Journal.Left())/4) // NATS stages a batch on the same disk, which may be small
	end = d.Journal.Next()
	err = d.Journal.Read(d.front.Load(), func(index uint64, record []byte) error {
		if len(batch) == batchMost || size > 0 && size+len(record) > most {
			end = index
			return journal.ErrEnough
		}
		one, err := parse(index, bytes.Clone(record))
		if err != nil {
			return d.setAside(index, record, err)
		}
		size += len(record)
		batch = append(batch, one)
		return nil
	})
	if n := len(batch); n > 0 { // there may be more than when it began
		end = max(end, batch[n-1].index+1)
	}
	return batch, end, err
}

func parse(index uint64, record []byte) (*entry, error) {
	e, err := journal.ParseEntry(record)
	if err != nil {
		return nil, err
	}
	one := &entry{index: index, record: record, parsed: e, subject: e.Subject, isEvent: e.IsEvent(), identity: e.Header.Get(event.HeaderID), sent: e.Sent, trace: e.Header.Get(event.HeaderTraceparent)}
	one.received, _ = time.Parse(time.RFC3339Nano, e.Header.Get(event.HeaderReceived))
	return one, nil
}

// message is a new one each time: a publish changes it.
func (e *entry) message() *nats.Msg {
	parsed := e.parsed
	if e.parsed = nil; parsed == nil {
		parsed, _ = journal.ParseEntry(e.record) // as it was before
	}
	return &nats.Msg{Subject: parsed.Subject, Header: parsed.Header, Data: parsed.Data}
}
