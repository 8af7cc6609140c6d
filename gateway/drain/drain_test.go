package drain

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/gateway/journal"
	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

func TestMain(m *testing.M) { os.Exit(rig.Main(m)) }

// trial is a journal, a NATS and what was settled.
type trial struct {
	t    *testing.T
	dir  string
	nats *rig.Nats
	js   jetstream.JetStream
	log  rig.Buffer
	*journal.Journal
	publisher *stream.Publisher

	mu      sync.Mutex
	settled map[string]int
}

func newTrial(t *testing.T) *trial {
	t.Helper()
	s := &trial{t: t, dir: t.TempDir(), nats: rig.StartNats(t, ""), settled: map[string]int{}}
	s.js = s.nats.Declared()
	s.open()
	var err error
	if s.publisher, err = stream.NewPublisher(s.js.Conn()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(); s.publisher.Close() })
	return s
}

func (s *trial) open() {
	s.t.Helper()
	var err error
	if s.Journal, err = journal.Open(journal.Options{Dir: s.dir, MaxBytes: 64 << 20, Log: s.logger()}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *trial) logger() *slog.Logger { return slog.New(slog.NewTextHandler(&s.log, nil)) }

// crash leaves the journal as a process that was killed leaves it.
func (s *trial) crash() {
	s.t.Helper()
	if err := s.Close(); err != nil {
		s.t.Fatal(err)
	}
	s.open()
}

// keep appends so many entries, numbered from a number on.
func (s *trial) keep(from, count int, sent time.Time) {
	s.t.Helper()
	var group [][]byte
	for n := from; n < from+count; n++ {
		e := journal.Entry{Subject: event.Subject("zorio", "pbx.call.hangup"), Data: fmt.Appendf(nil, "%d", n), Sent: sent, Header: nats.Header{
			event.HeaderID: {identity(n)}, event.HeaderReceived: {time.Now().UTC().Format(time.RFC3339Nano)},
		}}
		group = append(group, e.Append(nil))
	}
	if _, err := s.Append(group); err != nil {
		s.t.Fatal(err)
	}
}

func identity(n int) string { return event.Identity(fmt.Sprint(n), "0123456789abcdef") }

func (s *trial) drain(known func(context.Context, []string, []bool) error) *Drain {
	return New(Config{Journal: s.Journal, JS: s.js, Publisher: s.publisher, Known: known, Settled: s.settle, Aside: filepath.Join(s.dir, "aside"), Log: s.logger()})
}

func (s *trial) settle(stored []Stored) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range stored {
		s.settled[one.Identity]++
	}
}

// finish drains until nothing is left.
func (s *trial) finish(d *Drain) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	d.Finish(ctx)
	if d.Left() > 0 {
		s.t.Fatalf("%d are left: %v\n%s", d.Left(), d.Trouble(), s.log.String())
	}
}

// expect compares the stream with the numbers that it shall have, each once and in their order.
func (s *trial) expect(count int) {
	s.t.Helper()
	next := 0
	err := stream.Read(s.t.Context(), s.js, stream.Events, stream.Range{}, func(m *jetstream.RawStreamMsg) error {
		if got := string(m.Data); got != fmt.Sprint(next) {
			s.t.Fatalf("#%d is %s, want %d", m.Sequence, got, next)
		}
		next++
		return nil
	})
	if err != nil || next != count {
		s.t.Fatalf("%d are stored, want %d (%v)", next, count, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := range count {
		if s.settled[identity(n)] == 0 {
			s.t.Fatalf("%d was never settled", n)
		}
	}
}

// forget makes the stream know nobody's identity any more.
func (s *trial) forget() {
	s.t.Helper()
	events, err := s.js.Stream(s.t.Context(), stream.Events)
	if err != nil {
		s.t.Fatal(err)
	}
	config := events.CachedInfo().Config
	config.Duplicates = 100 * time.Millisecond
	if _, err := s.js.UpdateStream(s.t.Context(), config); err != nil {
		s.t.Fatal(err)
	}
	time.Sleep(2 * config.Duplicates) // it is time that makes it forget
}

func TestEntriesAreStoredInTheirOrder(t *testing.T) {
	t.Parallel()
	s := newTrial(t)
	s.keep(0, 2500, time.Time{})
	s.keep(2500, 3, time.Time{})
	s.finish(s.drain(nil))
	s.expect(2503)
	if s.Depth() != 0 {
		t.Errorf("%d are not settled in the journal", s.Depth())
	}
}

// A process may be killed after JetStream has stored a batch and before the journal knows: the next one stores nothing
// twice, whether JetStream still knows the identities or not.
func TestWhatAnEarlierProcessPublishedIsNotPublishedAgain(t *testing.T) {
	for _, remembers := range []bool{true, false} {
		t.Run(fmt.Sprint("JetStream remembers: ", remembers), func(t *testing.T) {
			t.Parallel()
			s := newTrial(t)
			s.keep(0, 1500, time.Time{})
			d := s.drain(nil)
			d.noted, d.notedAt = 0, time.Now().Add(time.Hour) // nothing is written down
			for d.Left() > 500 {
				if !d.next(t.Context()) {
					t.Fatal(d.Trouble())
				}
			}
			s.crash()
			if s.Depth() != 1500 {
				t.Fatalf("%d are left: this shows nothing", s.Depth())
			}
			s.keep(1500, 500, time.Time{})
			d = s.drain(nil)
			if !remembers {
				s.forget()
				d.knownFor = 0
			}
			s.finish(d)
			s.expect(2000)
		})
	}
}

// What a gateway kept last before it was killed was not answered any more: it came again to another gateway, which has
// stored it.
func TestWhatCameAgainElsewhereIsLookedFor(t *testing.T) {
	t.Parallel()
	s := newTrial(t)
	for n := range 20 {
		if _, err := s.js.PublishMsg(t.Context(), &nats.Msg{Subject: event.Subject("zorio", "pbx.call.hangup"), Header: nats.Header{event.HeaderID: {identity(n)}}, Data: fmt.Appendf(nil, "%d", n)}); err != nil {
			t.Fatal(err)
		}
	}
	s.forget()
	s.keep(0, 20, time.Time{})
	s.crash()
	s.keep(20, 20, time.Time{})
	d := s.drain(nil)
	d.inherited, d.knownFor = 0, 0 // it is not one of the first
	s.finish(d)
	s.expect(40)
}

// What was sent to NATS before an outage, and perhaps stored, is looked for in the stream after it.
func TestWhatWasInDoubtIsLookedFor(t *testing.T) {
	t.Parallel()
	s := newTrial(t)
	sent := time.Now().Add(-10 * time.Minute)
	for n := range 20 { // half of what was sent has arrived
		if _, err := s.js.PublishMsg(t.Context(), &nats.Msg{Subject: event.Subject("zorio", "pbx.call.hangup"), Header: nats.Header{event.HeaderID: {identity(n)}}, Data: fmt.Appendf(nil, "%d", n)}); err != nil {
			t.Fatal(err)
		}
	}
	s.forget()
	s.keep(0, 40, sent)
	s.keep(40, 40, time.Time{})
	s.finish(s.drain(nil))
	s.expect(80)
}

// A batch that NATS acknowledged to nobody is looked for, although an outage before it had the journal looked through.
func TestWhatIsInDoubtAgainIsLookedForAgain(t *testing.T) {
	t.Parallel()
	s := newTrial(t)
	s.keep(0, 20, time.Now().Add(-10*time.Minute))
	s.keep(20, 1980, time.Time{})
	d := s.drain(nil)
	if !d.next(t.Context()) || d.found.before != 2001 {
		t.Fatalf("%v: looked up to %d", d.Trouble(), d.found.before)
	}
	batch, _, err := d.read()
	if err != nil {
		t.Fatal(err)
	}
	d.tried.note(batch)
	if _, err := d.batch(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	s.forget()
	d.knownFor = 0
	s.finish(d)
	s.expect(2000)
}

// While it drains NATS may die, hang and come back: everything is stored once, in its order.
func TestNATSMayComeAndGoWhileItDrains(t *testing.T) {
	t.Parallel()
	s := newTrial(t)
	s.keep(0, 30_000, time.Time{})
	d := s.drain(nil)
	d.Rate = 10_000
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { d.Run(ctx) })
	for range 2 {
		before := d.Drained()
		rig.Eventually(t, 30*time.Second, "it drains", func() bool { return d.Drained() > before+3000 })
		s.nats.Kill()
		s.nats.Restart()
	}
	rig.Eventually(t, 60*time.Second, "all is drained", func() bool { return d.Left() == 0 })
	stop()
	running.Wait()
	s.expect(30_000)
}

// What came in before the memory could tell is asked about before it is published.
func TestWhatTheMemoryKnowsIsNotPublished(t *testing.T) {
	t.Parallel()
	s := newTrial(t)
	s.keep(7, 1, time.Time{}) // it is known
	s.keep(0, 1, time.Time{})
	s.finish(s.drain(func(_ context.Context, identities []string, known []bool) error {
		for i, one := range identities {
			known[i] = one == identity(7)
		}
		return nil
	}))
	s.expect(1)
}

// What the client would never send, because of its size or of a header, holds up nothing of its batch.
func TestWhatCannotBeSentHoldsUpNobody(t *testing.T) {
	t.Parallel()
	s := newTrial(t)
	s.nats.Reload("max_payload: 64KB")
	s.nats.Kill()
	s.nats.Restart()
	rig.Eventually(t, 10*time.Second, "the limit is known", func() bool { return s.js.Conn().MaxPayload() == 64<<10 })
	s.keep(0, 10, time.Time{})
	for n, e := range []journal.Entry{
		{Subject: event.Subject("zorio", "a"), Header: nats.Header{event.HeaderID: {identity(100)}}, Data: make([]byte, 64<<10)},
		{Subject: event.Subject("zorio", "a"), Header: nats.Header{event.HeaderID: {identity(101)}, "X-(": {"1"}}},
	} {
		if _, err := s.Append([][]byte{e.Append(nil)}); err != nil {
			t.Fatal(err)
		}
		s.keep(10*(n+1), 10, time.Time{})
	}
	s.finish(s.drain(nil))
	s.expect(30)
	if aside, _ := filepath.Glob(filepath.Join(s.dir, "aside", "*")); len(aside) != 2 {
		t.Errorf("set aside: %v", aside)
	}
}

// A user who may not write to the quarantine holds up no event.
func TestWhatMayNotBeQuarantinedIsSetAside(t *testing.T) {
	t.Parallel()
	s := newTrial(t)
	s.nats.Reload(`authorization { users: [{ user: gw, password: secret, permissions: { publish: { deny: "quarantine.>" } } }] }`)
	nc, err := nats.Connect(s.nats.URL(), nats.UserInfo("gw", "secret"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if s.publisher, err = stream.NewPublisher(nc); err != nil {
		t.Fatal(err)
	}
	s.js, _ = jetstream.New(nc)
	s.keep(0, 10, time.Time{})
	late := journal.Entry{Subject: event.QuarantineSubject("zorio", "late"), Header: nats.Header{event.HeaderID: {identity(100)}}}
	if _, err := s.Append([][]byte{late.Append(nil)}); err != nil {
		t.Fatal(err)
	}
	s.keep(10, 10, time.Time{})
	s.finish(s.drain(nil))
	s.expect(20)
	if aside, _ := filepath.Glob(filepath.Join(s.dir, "aside", "*")); len(aside) != 1 {
		t.Errorf("set aside: %v", aside)
	}
}

// What another version wrote is kept until that comes back.
func TestWhatCannotBeReadIsSetAside(t *testing.T) {
	t.Parallel()
	s := newTrial(t)
	newer := append([]byte{99}, make([]byte, batchBytes/2)...)
	large := journal.Entry{Subject: event.Subject("zorio", "a"), Header: nats.Header{event.HeaderID: {identity(0)}}, Data: append([]byte("0"), make([]byte, batchBytes/2)...)}
	if _, err := s.Append([][]byte{newer, large.Append(nil)}); err != nil {
		t.Fatal(err)
	}
	s.finish(s.drain(nil))
	aside, _ := filepath.Glob(filepath.Join(s.dir, "aside", "*"))
	if len(aside) != 1 {
		t.Fatalf("set aside: %v", aside)
	}
	if record, err := os.ReadFile(aside[0]); err != nil || !bytes.Equal(record, newer) {
		t.Errorf("%d bytes are left of it: %v", len(record), err)
	}
}

// What JetStream can never store holds up nobody. It is kept beside the journal, and tried again at the next start.
func TestWhatCannotBeStoredIsSetAsideAndTakenBack(t *testing.T) {
	t.Parallel()
	s := newTrial(t)
	e := journal.Entry{Subject: event.Subject("zorio", "a"), Header: nats.Header{event.HeaderID: {identity(20)}}, Data: make([]byte, s.js.Conn().MaxPayload())}
	if _, err := s.Append([][]byte{e.Append(nil)}); err != nil {
		t.Fatal(err)
	}
	s.keep(0, 20, time.Time{})
	s.finish(s.drain(nil))
	s.expect(20)
	aside, _ := filepath.Glob(filepath.Join(s.dir, "aside", "*"))
	if len(aside) != 1 || !strings.Contains(s.log.String(), "raise max_payload") {
		t.Fatalf("%v\n%s", aside, s.log.String())
	}
	record, err := os.ReadFile(aside[0])
	if err != nil {
		t.Fatal(err)
	}
	small, err := journal.ParseEntry(record)
	if err != nil {
		t.Fatal(err)
	}
	small.Data = []byte("20") // as if the limit had been raised
	if err := os.WriteFile(aside[0], small.Append(nil), 0o600); err != nil {
		t.Fatal(err)
	}
	s.finish(s.drain(nil))
	s.expect(21)
}

// stuck is a journal that takes no checkpoint.
type stuck struct{ *journal.Journal }

func (stuck) Checkpoint(uint64) error { return errors.New("the disk is broken") }

// A restart looks up so many entries and no more: a drain that cannot write down how far it is goes no further.
func TestADrainStaysNearItsCheckpoint(t *testing.T) {
	t.Parallel()
	s := newTrial(t)
	s.keep(0, noteMost+3*batchMost, time.Time{})
	d := s.drain(nil)
	d.Journal = stuck{s.Journal}
	for d.next(t.Context()) {
		if d.Drained() > noteMost+batchMost {
			t.Fatalf("%d entries are handed over", d.Drained())
		}
	}
	if d.Trouble() == nil || d.Drained() < noteMost {
		t.Errorf("%v after %d entries", d.Trouble(), d.Drained())
	}
}
