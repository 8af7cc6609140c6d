package history

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

// Writer stores the history of one process of a team, in the background. It never blocks: entries that NATS does not
// store stay in memory and are sent again. Beyond 8 MiB, new entries are lost, and counted. It is safe for concurrent
// use.
//
// A killed process loses the entries of its last second.
type Writer struct {
	js   jetstream.JetStream
	team string
	log  *slog.Logger
	lost func(events int)

	mu     sync.Mutex
	drafts map[uint64]*draft // by page
	bytes  int               // about what drafts and queue take in memory

	queue   []*batch // only for run
	failing bool     // the last send failed
	stop    chan struct{}
	done    chan struct{}
}

// draft collects the entries of a page.
type draft struct {
	done    map[end][]uint16
	entries []Entry
}

// batch is a message that waits to be stored.
type batch struct {
	msg    *nats.Msg
	events int
	size   int
}

const (
	sendEvery     = time.Second
	retryEvery    = 10 * time.Second // after a failed send
	sendTimeout   = 2 * time.Second
	stopTimeout   = time.Second // for the last send, when the process stops
	maxConcurrent = 16

	maxBytes   = 8 << 20   // that wait to be sent
	maxMessage = 128 << 10 // of one message, about
)

// NewWriter starts a writer. It calls lost with the number of events whose history is lost. Close ends it.
func NewWriter(js jetstream.JetStream, team string, log *slog.Logger, lost func(events int)) *Writer {
	w := &Writer{js: js, team: team, log: log, lost: lost, drafts: map[uint64]*draft{}, stop: make(chan struct{}), done: make(chan struct{})}
	go w.run()
	return w
}

// Add queues an entry. It never blocks.
func (w *Writer) Add(e Entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	size := e.size()
	if w.bytes+size > maxBytes {
		w.lost(1)
		return
	}
	w.bytes += size
	number := e.Sequence / pageSize
	s := w.drafts[number]
	if s == nil {
		s = &draft{done: map[end][]uint16{}}
		w.drafts[number] = s
	}
	if e.plain() {
		how := end{e.Outcome, e.Replay, e.Note}
		s.done[how] = append(s.done[how], uint16(e.Sequence%pageSize))
		return
	}
	s.entries = append(s.entries, e)
}

// size estimates the memory of an entry, in bytes.
func (e *Entry) size() int {
	if e.plain() {
		return 2
	}
	size := 300
	for _, f := range e.Failures {
		size += 50 + len(f.Error)
	}
	return size
}

// Close sends what is queued, for a second at most, and ends the writer.
func (w *Writer) Close() {
	close(w.stop)
	<-w.done
}

func (w *Writer) run() {
	defer close(w.done)
	for every := sendEvery; ; {
		select {
		case <-w.stop:
			w.send(stopTimeout)
			w.lose(w.queue)
			return
		case <-time.After(every):
		}
		if every = sendEvery; !w.send(sendTimeout) {
			every = retryEvery
		}
	}
}

// send publishes everything that is queued, and reports whether NATS stored it.
func (w *Writer) send(within time.Duration) bool {
	w.queue = append(w.queue, w.seal()...)
	if len(w.queue) == 0 {
		return true
	}
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	taken := make([]bool, len(w.queue))
	var group errgroup.Group
	group.SetLimit(maxConcurrent)
	for i, b := range w.queue {
		group.Go(func() error {
			err := publish(ctx, w.js, b.msg)
			taken[i] = err == nil
			return err
		})
	}
	err := group.Wait()
	w.forget(taken)
	w.logChange(err)
	return err == nil
}

// seal turns the drafts into batches.
func (w *Writer) seal() (batches []*batch) {
	w.mu.Lock()
	drafts := w.drafts
	w.drafts = map[uint64]*draft{}
	w.mu.Unlock()
	for number, s := range drafts {
		batches = append(batches, s.seal(w.team, number)...)
	}
	return batches
}

// seal makes one batch of a draft, or several if its entries are too large for one message.
func (s *draft) seal(team string, number uint64) (batches []*batch) {
	now := page{At: time.Now().UTC()}
	events, size := 0, 0
	add := func() {
		text, err := json.Marshal(now)
		if err != nil { // cannot happen: everything in a page can be encoded
			return
		}
		m := &nats.Msg{Subject: subject(team, number*pageSize), Data: text, Header: nats.Header{event.HeaderID: {rand.Text()}}}
		batches = append(batches, &batch{m, events, size})
		now.Done, now.Entries, events, size = nil, nil, 0, 0
	}
	for how, offsets := range s.done {
		slices.Sort(offsets)
		now.Done = append(now.Done, span{how, ranges(offsets)})
		events, size = events+len(offsets), size+2*len(offsets)
	}
	for _, e := range s.entries {
		now.Entries = append(now.Entries, e)
		if events, size = events+1, size+e.size(); size > maxMessage {
			add()
		}
	}
	if events > 0 {
		add()
	}
	return batches
}

// forget drops the batches that NATS has stored, and keeps the rest.
func (w *Writer) forget(taken []bool) {
	var left []*batch
	freed := 0
	for i, b := range w.queue {
		if taken[i] {
			freed += b.size
			continue
		}
		left = append(left, b)
	}
	w.queue = left
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bytes -= freed
}

func (w *Writer) lose(batches []*batch) {
	for _, b := range batches {
		w.lost(b.events)
	}
}

// logChange logs the first failure, and the first success after it.
func (w *Writer) logChange(err error) {
	switch {
	case err != nil && !w.failing:
		w.log.Warn("cannot store the history of events: sluicectl trace will not show how they ended", "error", err)
	case err == nil && w.failing:
		w.log.Info("storing the history of events again")
	}
	w.failing = err != nil
}

// Write stores one entry. When it returns nil, NATS has acknowledged it.
func Write(ctx context.Context, js jetstream.JetStream, e Entry) error {
	text, err := json.Marshal(page{At: e.At, Entries: []Entry{e}})
	if err != nil {
		return err
	}
	id := fmt.Sprintf("%s.%s.%d.%s", e.Team, e.Outcome, e.Letter, e.At.Format(time.RFC3339Nano))
	return publish(ctx, js, &nats.Msg{Subject: subject(e.Team, e.Sequence), Data: text, Header: nats.Header{event.HeaderID: {id}}})
}

func publish(ctx context.Context, js jetstream.JetStream, m *nats.Msg) error {
	_, err := js.PublishMsg(ctx, m, jetstream.WithExpectStream(stream.History), jetstream.WithRetryAttempts(0))
	if errors.Is(err, jetstream.ErrNoStreamResponse) {
		return stream.Missing(stream.History)
	}
	if err != nil {
		return fmt.Errorf("stream %s: %w", stream.History, err)
	}
	return nil
}
