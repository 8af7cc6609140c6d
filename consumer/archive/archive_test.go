package main

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sluicehq/sluice/consumer/archive/files"
	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
	teams "github.com/sluicehq/sluice/internal/team"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

// mortal is a store in which the process dies: at its so-manieth use, before that has an effect or after.
type mortal struct {
	files.Store
	left  atomic.Int64
	after bool
	die   func()
}

var errDead = errors.New("dead")

func (m *mortal) use(effect func() error) error {
	left := m.left.Add(-1)
	if left == 0 && m.after {
		_ = effect()
	}
	if left == 0 {
		m.die()
	}
	if left <= 0 {
		return errDead
	}
	return effect()
}

func (m *mortal) Write(ctx context.Context, name string, content []byte) error {
	return m.use(func() error { return m.Store.Write(ctx, name, content) })
}

func (m *mortal) List(ctx context.Context, prefix string) (names []string, err error) {
	err = m.use(func() (err error) { names, err = m.Store.List(ctx, prefix); return err })
	return names, err
}

func (m *mortal) Read(ctx context.Context, name string) (content []byte, err error) {
	err = m.use(func() (err error) { content, err = m.Store.Read(ctx, name); return err })
	return content, err
}

func TestEachEventIsInOneFileAtWhateverStepTheArchiveDies(t *testing.T) {
	t.Parallel() // it waits, most of the time
	h := newHub(t)
	const steps = 14 // of a batch, and into the next
	for step := int64(1); step <= steps; step++ {
		for _, after := range []bool{false, true} {
			h.publish(15)
			m := &mortal{Store: h.open(), after: after}
			m.left.Store(step)
			a := h.archiverOf(m)
			a.grace = time.Millisecond
			ctx, cancel := context.WithCancel(t.Context())
			m.die = func() { a.from.nc.Close(); cancel() } // no acknowledgement leaves it any more
			dead := make(chan struct{})
			go func() { defer close(dead); _ = a.run(ctx) }()
			select {
			case <-dead:
			case <-time.After(time.Minute):
				t.Fatalf("step %d was not reached", step)
			}
			cancel()
		}
	}
	h.start(h.archiverOf(h.open()))
	h.done()
	h.balance()
}

func TestABatchEndsByNumberByBytesAndByTime(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*Settings)
		least  int // files of 30 events in one folder each, had there been one batch: 6
	}{
		"number": {func(s *Settings) { s.Events = 10; s.Every = time.Hour }, 18},
		"bytes":  {func(s *Settings) { s.Bytes = 1; s.Every = time.Hour }, 6},
		"time":   {func(s *Settings) { s.Events = 10000 }, 6},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHub(t)
			h.publish(30)
			h.start(h.archiverOf(h.open(), c.change))
			h.done()
			if files := h.balance(); files < c.least {
				t.Errorf("%d files", files)
			}
		})
	}
}

func TestASecondInstanceWaitsAndTakesOver(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	h.standby = 4 * time.Second // several times what one that has the turn may wait for an event
	stop := h.start(h.archiverOf(h.open()))
	h.publish(5)
	h.done()
	second := h.archiverOf(h.open())
	h.start(second)
	h.publish(40)
	h.done()
	if n := second.index.folders; len(n) != 0 {
		t.Errorf("the second wrote to %v", n)
	}
	stop()
	h.publish(40)
	h.done()
	h.balance()
}

// failing is a store that does not take files.
type failing struct {
	files.Store
	broken atomic.Bool
}

func (f *failing) Write(ctx context.Context, name string, content []byte) error {
	if f.broken.Load() {
		return errors.New("no space left on device")
	}
	return f.Store.Write(ctx, name, content)
}

func TestWhileFilesCannotBeWrittenNothingIsAcknowledgedAndReadyzSaysSo(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	files := &failing{Store: h.open()}
	files.broken.Store(true)
	a := h.archiverOf(files)
	h.start(a)
	h.publish(50)
	rig.Eventually(t, time.Minute, "it says so", func() bool {
		return a.trouble.Load().Status == telemetry.Degraded && strings.Contains(a.trouble.Load().Detail, "no space left")
	})
	rig.Eventually(t, time.Minute, "it is known in NATS", func() bool {
		all, err := teams.Statuses(t.Context(), h.js, 0)
		return err == nil && len(all) == 1 && all[0].State == teams.Blocked && strings.Contains(all[0].Why, "no space left")
	})
	if info := h.info(); info.AckFloor.Stream != 0 || info.NumAckPending > 20 {
		t.Errorf("acknowledged to %d, %d held", info.AckFloor.Stream, info.NumAckPending)
	}
	files.broken.Store(false)
	h.done()
	h.balance()
	rig.Eventually(t, time.Minute, "it says that all is well", func() bool { return a.trouble.Load().Status == telemetry.OK })
}

func TestWhatWasNotKeptInProgressIsNotWritten(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	h.publish(1)
	a := h.archiverOf(h.open())
	b := newBatch()
	if err := a.gather(t.Context(), b); err != nil || b.len() != 1 {
		t.Fatalf("%d events, %v", b.len(), err)
	}
	b.until = time.Now() // as after a process hung
	b.keepInProgress(time.Hour, a.from.flush)
	if err := a.write(t.Context(), b); !errors.Is(err, errNotOurs) {
		t.Errorf("got %v", err)
	}
	h.start(h.archiverOf(h.open()))
	h.done()
	h.balance()
}

func TestAnEventThatComesTwiceIntoABatchIsWrittenOnce(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	h.publish(3)
	a := h.archiverOf(h.open())
	b := newBatch()
	if err := a.gather(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	for _, msg := range b.held {
		a.take(b, msg, time.Now())
	}
	b.until = time.Now().Add(time.Minute) // nobody keeps it in progress here
	if err := a.write(t.Context(), b); err != nil || b.len() != 6 {
		t.Errorf("%d events, %v", b.len(), err)
	}
	h.balance()
}

func TestNATSKilledWhileEventsAreHeldPutsNoneIntoTwoFiles(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	h.start(h.archiverOf(h.open(), func(s *Settings) { s.Every = 2 * time.Second; s.Events = 1000 }))
	for range 2 {
		h.publish(20)
		rig.Eventually(t, time.Minute, "they are held", func() bool { return h.info().NumAckPending > 0 })
		h.nats.Kill()
		h.nats.Restart()
		rig.Eventually(t, time.Minute, "NATS is back", func() bool {
			_, err := h.js.Consumer(t.Context(), stream.Events, team)
			return err == nil
		})
	}
	h.done()
	h.balance()
}

func TestTheArchiveKilledUnderLoadHasEachEventInOneFile(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	archive := h.binary("SLUICE_ARCHIVE_EVENTS=64", "SLUICE_ARCHIVE_EVERY=1s")
	for kill := range 2 {
		h.publish(1000)
		rig.Eventually(t, 2*time.Minute, "it works", func() bool { return h.info().AckFloor.Stream > uint64(kill)*500 })
		archive.Kill()
		archive.Start()
	}
	h.done()
	h.balance()
}

func TestAStopWritesWhatIsHeld(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	archive := h.binary("SLUICE_ARCHIVE_EVERY=1h")
	archive.WaitFor("working", time.Minute)
	h.publish(30)
	rig.Eventually(t, time.Minute, "it holds them", func() bool { return h.info().NumAckPending == 30 })
	archive.Signal(syscall.SIGTERM)
	if code := archive.Wait(30 * time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	h.done()
	h.balance()
}

// The archive's consumer is removed, and then the stream with all that was in it: each event is in one file all the same,
// those of the new stream beside those of the old one under the same sequences.
func TestTheArchiveGoesOnWhenItsPlaceWasRemoved(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	h.start(h.archiverOf(h.open()))
	h.publish(20)
	h.done()
	if err := h.js.DeleteConsumer(t.Context(), stream.Events, team); err != nil {
		t.Fatal(err)
	}
	h.publish(20)
	h.eachOnce()
	if err := h.js.DeleteStream(t.Context(), stream.Events); err != nil {
		t.Fatal(err)
	}
	h.js = h.nats.Declared()
	h.publish(40)
	h.eachOnce()
}

// eachOnce waits until every event that was sent is in a file, and holds that none is there twice.
func (h *hub) eachOnce() {
	h.t.Helper()
	times := map[string]int{}
	rig.Eventually(h.t, time.Minute, "every event is in a file", func() bool {
		clear(times)
		h.files(func(_ string, rows []files.Row) {
			for _, r := range rows {
				times[r.Identity]++
			}
		})
		return len(times) == h.sent
	})
	for identity, n := range times {
		if n != 1 {
			h.t.Errorf("%s is there %d times", identity, n)
		}
	}
}
