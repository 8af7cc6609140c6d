package ingest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sluicehq/sluice/gateway/drain"
)

// journalStub takes groups, or fails.
type journalStub struct {
	err     error
	entries int
}

func (j *journalStub) Append(group [][]byte) (uint64, error) {
	if j.err != nil {
		return 0, j.err
	}
	j.entries += len(group)
	return 1, nil
}

// keeping is a path that keeps each delivery in a journal first.
func keeping(t *testing.T) (p *Path, j *journalStub) {
	t.Helper()
	e, j := startEdge(t), &journalStub{}
	e.Journal, e.JournalFirst, e.Kept = j, true, func() {}
	return e.Path, j
}

// keepAll is what deliveries that come in one group are answered.
func keepAll(p *Path, group ...*delivery) (labels []string) {
	for _, d := range group {
		d.fate, d.keeps = make(chan *answer, 1), &nats.Msg{Subject: "events.zorio.a"}
	}
	p.keep(slices.Clone(group))
	for _, d := range group {
		labels = append(labels, (<-d.fate).label)
	}
	return labels
}

// Of two copies that come together the second is a duplicate only when the first is on the disk.
func TestACopyInAGroupThatIsNotKeptIsNoDuplicate(t *testing.T) {
	p, j := keeping(t)
	j.err = errors.New("the disk is full")
	for _, err := range []error{j.err, nil} {
		j.err = err
		want := "[ok duplicate ok]"
		if err != nil {
			want = "[not_stored not_stored not_stored]"
		}
		if got := fmt.Sprint(keepAll(p, &delivery{identity: "a"}, &delivery{identity: "a"}, &delivery{identity: "b"})); got != want {
			t.Errorf("with %v: %s, want %s", err, got, want)
		}
	}
	if j.entries != 2 {
		t.Errorf("%d are kept", j.entries)
	}
}

// Where the signature is the identity, a request that lies in quarantine because it was late has the event's.
func TestWhatIsInQuarantineMakesNoEventADuplicate(t *testing.T) {
	p, j := keeping(t)
	got := fmt.Sprint(keepAll(p, &delivery{identity: "a", quarantined: late}, &delivery{identity: "a"}), keepAll(p, &delivery{identity: "a"}))
	if got != "[quarantined_late ok] [duplicate]" || j.entries != 2 {
		t.Errorf("%s, %d are kept", got, j.entries)
	}
}

// A repetition of what lies in the journal is a duplicate, although NATS takes deliveries directly again.
func TestARepetitionOfWhatIsKeptIsNotPublished(t *testing.T) {
	e, j := startEdge(t), &journalStub{}
	e.Journal, e.Kept = j, func() {}
	keepAll(e.Path, &delivery{identity: "a"})
	d := e.newDelivery(&request{}, time.Now())
	d.identity, d.Msg = "a", nats.NewMsg("events.zorio.a")
	e.gathered.put(d)
	if got := (<-d.fate).label; got != "duplicate" || j.entries != 1 || len(e.takeKept()) > 0 {
		t.Errorf("%s; %d are kept", got, j.entries)
	}
}

// deafSeen is a memory that is away.
type deafSeen struct{ nothingSeen }

func (deafSeen) Lookup(context.Context, []string, []bool) error { return errors.New("away") }

// While the memory is away an earlier copy may be stored: the journal says so, for the stream may have forgotten it when
// NATS is back.
func TestWhatNoMemoryKnowsIsInDoubt(t *testing.T) {
	p, _ := keeping(t)
	for memory, doubt := range map[Seen]bool{nothingSeen{}: false, deafSeen{}: true} {
		d := p.newDelivery(&request{}, time.Now())
		d.keeps, p.seen = nats.NewMsg("events.zorio.a"), memory
		p.answerSeen([]*delivery{d})
		if sent := d.entry().Sent; sent.IsZero() == doubt {
			t.Errorf("%T: sent %s", memory, sent)
		}
	}
}

// What a stream has is forgotten soon, also when nothing follows.
func TestWhatWasHandedOverIsForgotten(t *testing.T) {
	p, _ := keeping(t)
	keepAll(p, &delivery{identity: "a"})
	p.Drained([]drain.Stored{{Identity: "a", Event: true}})
	key, now := keptKeyOf("a", true), time.Now()
	if p.keeper.kept.add(key, now) {
		t.Error("it is forgotten before it can be marked")
	}
	if !p.keeper.kept.add(key, now.Add(2*lingers)) {
		t.Error("it is remembered although the memory knows it")
	}
}
