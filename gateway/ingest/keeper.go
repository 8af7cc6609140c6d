package ingest

import (
	"context"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sluicehq/sluice/gateway/drain"
	"github.com/sluicehq/sluice/gateway/journal"
	"github.com/sluicehq/sluice/gateway/seen"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

// Journal keeps deliveries on this machine's own disk. Append returns when all of a group is synced.
type Journal interface {
	Append(group [][]byte) (first uint64, err error)
}

// keeper is the queue of what is written into the journal: what comes while a group is being synced goes with the next.
type keeper struct {
	queue
	kept *kept
}

func newKeeper() *keeper { return &keeper{newQueue(), newKept()} }

// put queues deliveries. It never blocks.
func (k *keeper) put(group ...*delivery) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.queued = append(k.queued, group...)
	k.release()
}

// keepGroups writes what is put into the journal, until the end.
func (p *Path) keepGroups() {
	group := make([]*delivery, 0, maxGroup)
	for group = p.keeper.take(group); len(group) > 0; group = p.keeper.take(group) {
		p.keep(group)
	}
}

// keep writes a group into the journal with one sync, and answers it: from then on no crash of this process, and nothing
// that happens to NATS, loses it.
func (p *Path) keep(group []*delivery) {
	begin := time.Now()
	fresh, again := p.answerKept(group, begin)
	if len(fresh) == 0 {
		return
	}
	_, err := p.Journal.Append(records(fresh))
	p.metrics.kept(time.Since(begin), len(fresh), err)
	if p.tracer != nil {
		p.traceJournal(fresh, begin, err)
	}
	for _, d := range fresh {
		p.settleKept(d, stream.Ack{}, err)
	}
	for _, d := range again {
		p.settleKept(d, stream.Ack{Duplicate: true}, err)
	}
	if err == nil {
		p.Kept()
	}
}

// answerKept answers what lies in the journal already, and what can never leave it. It returns the rest, and the copies of
// that in the same group, which are duplicates only when it is kept.
func (p *Path) answerKept(group []*delivery, now time.Time) (fresh, again []*delivery) {
	fresh = group[:0]
	largest := p.hub.Largest()
	for _, d := range group {
		switch {
		case largest > 0 && int64(len(d.keeps.Data)+headerBytes(d.keeps.Header)) > largest:
			p.settleKept(d, stream.Ack{}, nats.ErrMaxPayload)
		case p.keeper.kept.add(d.keptKey(), now):
			fresh = append(fresh, d)
		case slices.ContainsFunc(fresh, d.isCopyOf):
			again = append(again, d)
		default:
			p.settleKept(d, stream.Ack{Duplicate: true}, nil)
		}
	}
	return fresh, again
}

func (d *delivery) keptKey() keptKey { return keptKeyOf(d.identity, d.quarantined == "") }

func (d *delivery) isCopyOf(other *delivery) bool {
	return d.identity == other.identity && (d.quarantined == "") == (other.quarantined == "")
}

// headerBytes is how long a header is on the wire.
func headerBytes(header nats.Header) int {
	bytes := len("NATS/1.0\r\n\r\n")
	for name, values := range header {
		bytes += len(name) + len(values[0]) + len(": \r\n")
	}
	return bytes
}

// records are the entries of a group, which share one piece of memory.
func records(group []*delivery) [][]byte {
	entries, size := make([]*journal.Entry, len(group)), 0
	for i, d := range group {
		entries[i] = d.entry()
		size += entries[i].Size()
	}
	room := make([]byte, 0, size)
	records := make([][]byte, len(group))
	for i, e := range entries {
		begin := len(room)
		room = e.Append(room)
		records[i] = room[begin:len(room):len(room)]
	}
	return records
}

// entry is the delivery as the journal keeps it.
func (d *delivery) entry() *journal.Entry {
	e := &journal.Entry{Subject: d.keeps.Subject, Header: d.keeps.Header, Data: d.keeps.Data}
	switch {
	case d.doubtful:
		e.Sent = d.published
	case d.unasked: // an earlier copy may be stored, which the stream knew when this one came
		e.Sent = d.received
	}
	return e
}

// settleKept ends a delivery at the sync of the journal. Where other gateways ask the same memory, it is marked there at once.
func (p *Path) settleKept(d *delivery, ack stream.Ack, err error) {
	switch {
	case err != nil:
		p.keeper.kept.remove(d.keptKey())
		p.away.Store(false) // or nobody would ask NATS again
		p.logNotKept(err)
	case p.Shared && d.spilled && d.quarantined == "":
		p.marks.add(seen.Mark{Identity: d.identity, Stored: time.Now()})
	}
	if err == nil {
		p.metrics.putAside(d)
		p.logKept(d, ack)
	}
	d.keeps = nil
	p.end(d, ack, err)
}

// Drained marks deliveries from the journal as stored: call it after a stream has acknowledged them.
func (p *Path) Drained(stored []drain.Stored) {
	p.away.Store(false)
	now := time.Now()
	for _, s := range stored {
		if s.Event {
			p.marks.add(seen.Mark{Identity: s.Identity, Sequence: s.Sequence, Stored: now})
		}
		p.keeper.kept.leave(keptKeyOf(s.Identity, s.Event), now)
	}
}

// Inherit remembers the deliveries in a journal from before this start, so that their duplicates are recognised. Call
// it before any of them is published. It returns early when ctx ends.
func (p *Path) Inherit(ctx context.Context, left *journal.Journal) error {
	now := time.Now()
	return left.Read(left.First(), func(_ uint64, record []byte) error {
		if e, err := journal.ParseEntry(record); err == nil {
			p.keeper.kept.add(keptKeyOf(e.Header.Get(event.HeaderID), e.IsEvent()), now)
		}
		if p.keeper.kept.isFull() {
			return journal.ErrEnough
		}
		return ctx.Err()
	})
}
