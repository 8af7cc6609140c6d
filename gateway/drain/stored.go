package drain

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/gateway/journal"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

// What may have been published before is stored once all the same. For some minutes JetStream itself knows its
// identity, across its own restarts too. What is older is looked up in the stream.
const (
	knownFor   = 2 * time.Minute        // well within stream.DuplicateWindow
	unanswered = 20_000                 // a process that died had answered all but its last ones: they came again, perhaps to another gateway
	lookUpMost = 1 << 16                // identities for which a stream is read once
	lookAhead  = 1 << 20                // entries that are looked through for them
	lookBehind = stream.DuplicateWindow // what was stored so long before, the stream would have known when the entry came; clocks differ by less
)

// attempt is what this process has tried and does not know the end of.
type attempt struct {
	since  time.Time // the first time
	last   time.Time
	before uint64 // index
}

// note remembers when a batch was tried first and last.
func (a *attempt) note(batch []*entry) {
	a.last = time.Now()
	if first := batch[0].index; first >= a.before {
		a.since = a.last
	}
	a.before = max(a.before, batch[len(batch)-1].index+1)
}

// found is what a look into the streams has brought.
type found struct {
	sequences map[string]uint64 // of what is stored, by subject and identity
	before    uint64            // index of the first entry that was not looked for
	at        time.Time         // when it was begun: nothing that left later was looked for
}

// doubt is when an entry may have been published first; zero when it was not.
func (d *Drain) doubt(e *entry) time.Time {
	switch {
	case !e.sent.IsZero():
		return e.sent
	case e.index < d.inherited, e.index < d.opened && e.index+unanswered >= d.opened:
		return e.received
	case e.index < d.tried.before:
		return d.tried.since
	}
	return time.Time{}
}

// mustLookUp reports whether a copy of an entry may lie in a stream that JetStream does not know of any more, and that no
// look-up has seen: what left after the last one counts from then on.
func (d *Drain) mustLookUp(e *entry) bool {
	since := d.doubt(e)
	if since.IsZero() {
		return false
	}
	if e.index < d.found.before && since.Before(d.found.at) {
		if since = d.found.at; e.index >= d.tried.before || !d.tried.last.After(since) {
			return false
		}
	}
	return time.Since(since) > d.knownFor
}

// without parts a batch into what is to be published and what is stored already.
func (d *Drain) without(ctx context.Context, batch []*entry) (fresh []*entry, stored []Stored, err error) {
	known, err := d.known(ctx, batch)
	if err != nil {
		return nil, nil, err
	}
	for i, e := range batch {
		if d.mustLookUp(e) {
			if err := d.lookUp(ctx, e.index); err != nil {
				return nil, nil, err
			}
		}
		sequence, there := d.found.sequences[e.subject+" "+e.identity]
		if there || known[i] {
			stored = append(stored, Stored{Identity: e.identity, Event: e.isEvent, Sequence: sequence})
			continue
		}
		fresh = append(fresh, e)
	}
	return fresh, stored, nil
}

// known asks about what came in while nobody could be asked.
func (d *Drain) known(ctx context.Context, batch []*entry) ([]bool, error) {
	known := make([]bool, len(batch))
	if batch[0].index >= d.early {
		return known, nil
	}
	identities := make([]string, 0, len(batch))
	for _, e := range batch {
		if e.index < d.early && e.isEvent {
			identities = append(identities, e.identity)
			continue
		}
		identities = append(identities, "") // nobody's
	}
	return known, d.Known(ctx, identities, known)
}

// lookUp reads the streams once for all that is in doubt from an index on.
func (d *Drain) lookUp(ctx context.Context, from uint64) error {
	if _, err := d.JS.Stream(ctx, stream.Events); err != nil { // or each attempt of an outage would read the journal
		return err
	}
	at := time.Now()
	want, since, before, err := d.inDoubt(from)
	if err != nil {
		return err
	}
	d.Log.Info("looking up which deliveries NATS stored before the outage", "deliveries", len(want), "since", since.UTC())
	d.found = found{sequences: map[string]uint64{}, before: before, at: at}
	for _, name := range []string{stream.Events, stream.Quarantine} {
		err := stream.Read(ctx, d.JS, name, stream.Range{Since: since.Add(-lookBehind), HeadersOnly: true}, func(m *jetstream.RawStreamMsg) error {
			if key := m.Subject + " " + m.Header.Get(event.HeaderID); want[key] {
				d.found.sequences[key] = m.Sequence
			}
			return nil
		})
		if err != nil {
			d.found = found{}
			return err
		}
	}
	return nil
}

// inDoubt collects what is looked for, since when it may be there, and how far the journal was looked through.
func (d *Drain) inDoubt(from uint64) (want map[string]bool, since time.Time, before uint64, err error) {
	want, before = map[string]bool{}, from
	err = d.Journal.Read(from, func(index uint64, record []byte) error {
		if len(want) == lookUpMost || index-from == lookAhead {
			return journal.ErrEnough
		}
		before = index + 1
		e, err := parse(index, record)
		if err != nil {
			return nil // read says so
		}
		if at := d.doubt(e); !at.IsZero() {
			want[e.subject+" "+e.identity] = true
			if since.IsZero() || at.Before(since) {
				since = at
			}
		}
		return nil
	})
	return want, since, before, err
}
