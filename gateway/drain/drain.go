// Package drain publishes the deliveries in the journal to JetStream: in order, each once, a batch at a time.
package drain

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/internal/tracing"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

// Journal is what is drained.
type Journal interface {
	First() uint64 // the first index that is not settled
	Next() uint64  // the index that comes next
	// Read calls take for each record from an index on, in order, up to what is synced, and ends with its first error, or at
	// [journal.ErrEnough].
	Read(from uint64, take func(index uint64, record []byte) error) error
	// Checkpoint remembers that everything before an index is settled.
	Checkpoint(before uint64) error
	Append(group [][]byte) (first uint64, err error)
	Bytes() int64 // what it takes on the disk
	Left() int64  // and may take besides
}

// Stored is an entry of the journal that a stream has.
type Stored struct {
	Identity string // its Nats-Msg-Id
	Event    bool   // it lies in EVENTS, else in QUARANTINE
	Sequence uint64 // 0 where it is not known
}

// Config says what is drained, and where to.
type Config struct {
	Journal   Journal
	JS        jetstream.JetStream
	Publisher *stream.Publisher
	// Known sets known[i] where the stream has identities[i]. It is asked about what came in before Run was called,
	// while nobody could. Nil where somebody could.
	Known func(ctx context.Context, identities []string, known []bool) error
	// Settled takes what is stored, batch by batch. It must not block.
	Settled func([]Stored)
	Rate    int    // most entries a second; 0 is as many as can be
	Aside   string // folder for what JetStream will never take
	Log     *slog.Logger
	Tracer  tracing.Tracer // nil: nothing is traced
}

// Drain publishes the deliveries of one journal. Its methods are safe for concurrent use.
type Drain struct {
	Config
	inherited uint64        // what lies before this index may have been published by a process before this one
	early     uint64        // what lies before this index came in before Known could tell
	opened    uint64        // what lies before this index came to a process before this one
	knownFor  time.Duration // JetStream knows by itself what it stored less than this ago
	tried     attempt
	found     found
	front     atomic.Uint64 // everything before it is settled
	noted     uint64        // and everything before this is so for good
	notedAt   time.Time
	drained   atomic.Uint64
	trouble   atomic.Pointer[error]
	again     *telemetry.Limiter
	last      int           // how many went together
	more      chan struct{} // holds a token when there may be more
}

// How much goes at once, and how often it is written down how far it is.
const (
	batchMost  = 1000    // the most that nats-server takes
	batchBytes = 2 << 20 // more would hold up what is published beside it
	noteEvery  = time.Second
	noteMost   = 20_000 // entries
	gather     = 500    // a batch costs NATS about 2 ms of CPU whatever its size; fewer wait a little for more,
	gatherFor  = 10 * time.Millisecond
	gatherLong = 40 * time.Millisecond // and longer where many come: from 100 within the shorter time
	pauseFirst = 20 * time.Millisecond
	pauseLast  = 500 * time.Millisecond
)

// New makes a drain of a journal that was just opened.
func New(c Config) *Drain {
	d := &Drain{Config: c, knownFor: knownFor, more: make(chan struct{}, 1), again: telemetry.NewLimiter(c.Log, 30*time.Second)}
	d.front.Store(c.Journal.First())
	d.noted = c.Journal.First()
	d.opened = c.Journal.Next()
	d.inherited = min(d.opened, d.noted+noteMost+batchMost)
	return d
}

// Run drains until ctx ends. JetStream can be asked now, and Known too. What is left then is for the next start.
func (d *Drain) Run(ctx context.Context) { d.run(ctx, func() bool { return false }) }

// Finish drains until nothing is left, or ctx ends.
func (d *Drain) Finish(ctx context.Context) { d.run(ctx, func() bool { return d.Left() == 0 }) }

func (d *Drain) run(ctx context.Context, finished func() bool) {
	if err := d.takeBack(); err != nil {
		d.Log.Error("cannot retry the deliveries that were set aside", "folder", d.Aside, "error", err, "remedy", "check the disk of SLUICE_DATA, and start the gateway again")
	}
	if d.Known != nil {
		d.early = d.Journal.Next()
	}
	if left := d.Left(); left > 0 {
		d.Log.Info("publishing the deliveries in the journal", "deliveries", left)
	}
	for pause := pauseFirst; ctx.Err() == nil && !finished(); {
		if d.next(ctx) {
			pause = pauseFirst
			continue
		}
		stream.Pause(ctx, pause)
		pause = min(2*pause, pauseLast)
	}
	_ = d.note(true) // it says so itself
}

// Wake tells the drain that the journal has more deliveries. It never blocks.
func (d *Drain) Wake() {
	select {
	case d.more <- struct{}{}:
	default:
	}
}

// Left is how many deliveries are in the journal and not yet in a stream.
func (d *Drain) Left() uint64 { return d.Journal.Next() - d.front.Load() }

// Drained is how many deliveries were published.
func (d *Drain) Drained() uint64 { return d.drained.Load() }

// Trouble is why the last attempt failed; nil when it did not.
func (d *Drain) Trouble() error {
	if err := d.trouble.Load(); err != nil {
		return *err
	}
	return nil
}

// next hands one batch over, and reports whether it could.
func (d *Drain) next(ctx context.Context) bool {
	if d.front.Load()-d.noted >= noteMost && d.note(true) != nil {
		return false // a restart looks up no more than that
	}
	d.await(ctx)
	begin := time.Now()
	batch, end, err := d.read()
	if err == nil {
		err = d.store(ctx, batch)
	}
	if err != nil {
		d.trouble.Store(&err)
		d.again.Warn("drain", "cannot publish the deliveries in the journal: retrying", err, "see /readyz for the state of NATS")
		return false
	}
	d.trouble.Store(nil)
	d.last = len(batch)
	d.front.Store(end)
	d.drained.Add(uint64(len(batch)))
	_ = d.note(false) // it says so itself
	d.slowDown(ctx, begin, len(batch))
	return true
}

// await waits until there is something, and a little longer for what may share its sync of the disk.
func (d *Drain) await(ctx context.Context) {
	for d.Left() == 0 && ctx.Err() == nil {
		_ = d.note(true) // it says so itself
		select {
		case <-d.more:
		case <-ctx.Done():
		}
	}
	switch {
	case d.Left() >= gather:
	case d.last < 100:
		stream.Pause(ctx, gatherFor)
	default:
		stream.Pause(ctx, gatherLong)
	}
}

// store publishes a batch but for what a stream has already, and settles all of it.
func (d *Drain) store(ctx context.Context, batch []*entry) error {
	if len(batch) == 0 {
		return nil
	}
	fresh, stored, err := d.without(ctx, batch)
	if err != nil {
		return err
	}
	d.tried.note(batch)
	begin := time.Now()
	published, err := d.publish(ctx, fresh)
	if err != nil {
		return err
	}
	if d.Tracer != nil {
		d.trace(fresh, begin)
	}
	d.Settled(append(stored, published...))
	return nil
}

// note writes down how far the drain is: from time to time, because the journal needs the room, or because there is
// nothing else to do.
func (d *Drain) note(idle bool) error {
	front := d.front.Load()
	due := front-d.noted >= noteMost || time.Since(d.notedAt) >= noteEvery || d.Journal.Left() < d.Journal.Bytes()
	if front == d.noted || !due && !idle {
		return nil
	}
	if err := d.Journal.Checkpoint(front); err != nil {
		d.trouble.Store(&err)
		d.again.Warn("checkpoint", "cannot record which deliveries of the journal are published: after a crash they are looked up in the stream", err, "check the disk of SLUICE_DATA")
		return err
	}
	d.noted, d.notedAt = front, time.Now()
	return nil
}

// slowDown keeps to the rate, so that live deliveries have their share of NATS.
func (d *Drain) slowDown(ctx context.Context, begin time.Time, count int) {
	if d.Rate > 0 {
		stream.Pause(ctx, time.Until(begin.Add(time.Duration(count)*time.Second/time.Duration(d.Rate))))
	}
}

// Empty waits until every delivery is published, up to a time limit, or until publishing fails.
func (d *Drain) Empty(within time.Duration) {
	for end := time.Now().Add(within); d.Left() > 0 && d.Trouble() == nil && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
}
