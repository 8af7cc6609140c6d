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

// Writer tells what one process of a team does. It never holds anybody up: what NATS does not take is kept within
// bounds, tried again, and at the bound lost, which is counted. It is safe for concurrent use.
//
// What was added in the last second before the process is killed is lost.
type Writer struct {
	js   jetstream.JetStream
	team string
	log  *slog.Logger
	lost func(events int)

	mu     sync.Mutex
	sheets map[uint64]*sheet // by page
	bytes  int               // what the sheets and the queue take, about

	queue  []*letter // only the goroutine's
	refuse bool      // NATS did not take the last ones
	stop   chan struct{}
	done   chan struct{}
}

// sheet is what there is to tell about a page.
type sheet struct {
	done map[end][]uint16
	told []Entry
}

// letter is a sheet on its way.
type letter struct {
	msg    *nats.Msg
	events int
	size   int
}

const (
	tellEvery  = time.Second
	tellAgain  = 10 * time.Second // after NATS did not take something
	tellWithin = 2 * time.Second
	lastWithin = time.Second // when the process stops
	tellAtOnce = 16

	maxBytes = 8 << 20   // that wait to be told
	maxTold  = 128 << 10 // of one message
)

// NewWriter begins to tell. Lost is called with the number of events whose history is lost.
func NewWriter(js jetstream.JetStream, team string, log *slog.Logger, lost func(events int)) *Writer {
	w := &Writer{js: js, team: team, log: log, lost: lost, sheets: map[uint64]*sheet{}, stop: make(chan struct{}), done: make(chan struct{})}
	go w.run()
	return w
}

// Add takes an entry. It never blocks.
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
	s := w.sheets[number]
	if s == nil {
		s = &sheet{done: map[end][]uint16{}}
		w.sheets[number] = s
	}
	if e.plain() {
		how := end{e.Outcome, e.Replay, e.Note}
		s.done[how] = append(s.done[how], uint16(e.Sequence%pageSize))
		return
	}
	s.told = append(s.told, e)
}

// size is about what an entry takes, in bytes.
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

// Close tells what is left, for a second at most.
func (w *Writer) Close() {
	close(w.stop)
	<-w.done
}

func (w *Writer) run() {
	defer close(w.done)
	for every := tellEvery; ; {
		select {
		case <-w.stop:
			w.tell(lastWithin)
			w.lose(w.queue)
			return
		case <-time.After(every):
		}
		if every = tellEvery; !w.tell(tellWithin) {
			every = tellAgain
		}
	}
}

// tell sends everything that is there, and reports whether NATS took it.
func (w *Writer) tell(within time.Duration) bool {
	w.queue = append(w.queue, w.seal()...)
	if len(w.queue) == 0 {
		return true
	}
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	taken := make([]bool, len(w.queue))
	var group errgroup.Group
	group.SetLimit(tellAtOnce)
	for i, l := range w.queue {
		group.Go(func() error {
			err := publish(ctx, w.js, l.msg)
			taken[i] = err == nil
			return err
		})
	}
	err := group.Wait()
	w.sent(taken)
	w.complain(err)
	return err == nil
}

// seal makes messages of the sheets.
func (w *Writer) seal() (letters []*letter) {
	w.mu.Lock()
	sheets := w.sheets
	w.sheets = map[uint64]*sheet{}
	w.mu.Unlock()
	for number, s := range sheets {
		letters = append(letters, s.seal(w.team, number)...)
	}
	return letters
}

// seal makes one message, or several where the failures of many events are to be told.
func (s *sheet) seal(team string, number uint64) (letters []*letter) {
	now := page{At: time.Now().UTC()}
	events, size := 0, 0
	add := func() {
		text, err := json.Marshal(now)
		if err != nil { // there is nothing in it that could not be written
			return
		}
		m := &nats.Msg{Subject: subject(team, number*pageSize), Data: text, Header: nats.Header{event.HeaderID: {rand.Text()}}}
		letters = append(letters, &letter{m, events, size})
		now.Done, now.Told, events, size = nil, nil, 0, 0
	}
	for how, offsets := range s.done {
		slices.Sort(offsets)
		now.Done = append(now.Done, span{how, ranges(offsets)})
		events, size = events+len(offsets), size+2*len(offsets)
	}
	for _, e := range s.told {
		now.Told = append(now.Told, e)
		if events, size = events+1, size+e.size(); size > maxTold {
			add()
		}
	}
	if events > 0 {
		add()
	}
	return letters
}

// sent forgets what NATS has, and keeps the rest.
func (w *Writer) sent(taken []bool) {
	var left []*letter
	freed := 0
	for i, l := range w.queue {
		if taken[i] {
			freed += l.size
			continue
		}
		left = append(left, l)
	}
	w.queue = left
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bytes -= freed
}

func (w *Writer) lose(letters []*letter) {
	for _, l := range letters {
		w.lost(l.events)
	}
}

// complain says once that nothing is kept, and once that it is again.
func (w *Writer) complain(err error) {
	switch {
	case err != nil && !w.refuse:
		w.log.Warn("the history of events is not kept for now: sluicectl trace will not know how they ended", "error", err)
	case err == nil && w.refuse:
		w.log.Info("the history of events is kept again")
	}
	w.refuse = err != nil
}

// Write tells one entry, as durably as the stream stores, on return without an error.
func Write(ctx context.Context, js jetstream.JetStream, e Entry) error {
	text, err := json.Marshal(page{At: e.At, Told: []Entry{e}})
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
