package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/consumer/archive/files"
	"github.com/sluicehq/sluice/internal/tracing"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

// archiver takes events into a batch, writes the batch into files, and acknowledges its events only then.
//
// Each event is in exactly one file: what comes again is looked for in the files first (see index), and one that was
// not acknowledged is in memory, or comes again. A failed write is repeated with the same name and content.
type archiver struct {
	settings *Settings
	index    *index
	from     *source
	log      *slog.Logger
	admin    *telemetry.Admin
	metrics  *metrics
	grace    time.Duration                    // for the last files, when the process stops
	tracer   tracing.Tracer                   // nil: nothing is traced
	trouble  atomic.Pointer[telemetry.Health] // with the place of the files
}

const (
	fetchAtMost = 64 // events; of the largest, so many MiB come on top of SLUICE_ARCHIVE_BYTES
	stopWithin  = 4 * time.Second
	firstPause  = 500 * time.Millisecond
	lastPause   = 30 * time.Second
)

func newArchiver(s *Settings, files files.Store, from *source, log *slog.Logger, admin *telemetry.Admin) *archiver {
	a := &archiver{settings: s, index: newIndex(files), from: from, log: log, admin: admin, metrics: newMetrics(admin.Registry()), grace: stopWithin}
	a.trouble.Store(&telemetry.Health{Status: telemetry.OK, Since: time.Now()})
	admin.Watch("files", func() telemetry.Health { return *a.trouble.Load() })
	return a
}

// run archives until ctx ends, and then writes what it holds. What it cannot write in the time of grace goes back to
// the stream.
func (a *archiver) run(ctx context.Context) error {
	defer a.attend(ctx)()
	for ctx.Err() == nil {
		b := newBatch()
		stop := a.keepInProgress(b)
		err := a.gather(ctx, b)
		if err == nil {
			a.archive(ctx, b)
		}
		stop()
		if err != nil {
			a.settle(b, false)
			return err
		}
	}
	a.from.unpin()
	return nil
}

// gather takes events until there are enough, in number, bytes or time, or what there is has been lost, or ctx ends.
func (a *archiver) gather(ctx context.Context, b *batch) error {
	for ctx.Err() == nil {
		n, wait := a.settings.Events-b.len(), a.from.fetchWait()
		if b.len() > 0 {
			wait = min(wait, time.Until(b.began.Add(a.settings.Every)))
		}
		if n <= 0 || wait <= 0 || b.bytes >= int64(a.settings.Bytes) || !b.ours(0) {
			return nil
		}
		asked := time.Now()
		take := func(msg jetstream.Msg) { a.take(b, msg, asked) }
		if err := a.from.fetch(ctx, min(n, fetchAtMost), max(wait, time.Millisecond), take); err != nil {
			return err
		}
	}
	return nil
}

// take adds a message to the batch. One that is no event is no event's loss.
func (a *archiver) take(b *batch, msg jetstream.Msg, asked time.Time) {
	e, err := event.Parse(msg.Subject(), msg.Headers(), msg.Data())
	meta, metaErr := msg.Metadata()
	if err = errors.Join(err, metaErr); err != nil {
		a.log.Error("skipping a message that is not an event", "subject", msg.Subject(), "error", err)
		_ = msg.TermWithReason(err.Error())
		return
	}
	b.add(msg, e, meta, asked, a.from.ackWait)
	a.metrics.took(b.len(), meta.NumPending)
}

// keepInProgress keeps a batch in progress until it is told to stop.
func (a *archiver) keepInProgress(b *batch) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for tick := time.NewTicker(a.from.ackWait / 3); ; {
			select {
			case <-tick.C:
				b.keepInProgress(a.from.ackWait, a.from.flush)
			case <-done:
				tick.Stop()
				return
			}
		}
	}()
	return func() { close(done); <-ended }
}

// archive writes a batch and acknowledges it. While that fails it tries again, until ctx and the time of grace end.
func (a *archiver) archive(ctx context.Context, b *batch) {
	if b.len() == 0 {
		return
	}
	bounded, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(a.grace, cancel) })()
	defer a.metrics.held.Set(0)
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		begin := time.Now()
		err := a.write(bounded, b)
		a.trace(b, begin, err)
		if errors.Is(err, errNotOurs) { // a word about them could take them from another instance
			a.log.Warn("dropping unwritten events from memory: NATS redelivers them", "events", b.len(), "error", err)
			return
		}
		a.report(err)
		if err == nil || bounded.Err() != nil {
			a.settle(b, err == nil)
			return
		}
		select {
		case <-time.After(pause):
		case <-bounded.Done():
		}
	}
}

// settle acknowledges what is written, and gives the rest back. A word that is lost costs a look into the files.
func (a *archiver) settle(b *batch, written bool) {
	word := jetstream.Msg.Nak
	if written {
		word = jetstream.Msg.Ack
	}
	b.settle(word)
	_ = a.from.flush()
}

var errNotOurs = errors.New("they were not kept in progress in time, because this process hung or NATS was away")

// write writes the files of a batch, one for each folder. On return without an error every event of the batch is in a
// file that is complete and synced.
func (a *archiver) write(ctx context.Context, b *batch) error {
	a.index.keepOnly(b.parts)
	for _, folder := range slices.Sorted(maps.Keys(b.parts)) {
		if err := a.writePart(ctx, b, folder, b.parts[folder]); err != nil {
			return err
		}
	}
	return nil
}

// writePart leaves out what is in a file already.
func (a *archiver) writePart(ctx context.Context, b *batch, folder string, p *part) error {
	known, err := a.index.in(ctx, folder, p.again)
	if err != nil {
		return err
	}
	var fresh []files.Row
	for _, r := range p.rows {
		there, err := a.index.has(ctx, known, uint64(r.Sequence), r.Identity)
		if err != nil {
			return err
		}
		if !there {
			fresh = append(fresh, r)
		}
	}
	a.metrics.repeated.Add(float64(len(p.rows) - len(fresh)))
	if p.rows = fresh; len(fresh) == 0 {
		return nil
	}
	return a.writeFile(ctx, b, folder, p, known)
}

func (a *archiver) writeFile(ctx context.Context, b *batch, folder string, p *part, known *listing) error {
	begin, covered := time.Now(), p.span()
	content, err := files.Encode(p.rows, p.source, p.name)
	if err != nil {
		return err
	}
	if !b.ours(a.from.ackWait / 3) {
		return errNotOurs
	}
	name := known.freeName(folder, covered)
	if err := a.index.store.Write(ctx, name, content); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	known.files[name] = covered
	a.metrics.wrote(len(p.rows), len(content), time.Since(begin))
	a.log.Debug("wrote a file", "file", name, "events", len(p.rows), "bytes", len(content), "took", time.Since(begin))
	p.rows, p.again = nil, false
	return nil
}
