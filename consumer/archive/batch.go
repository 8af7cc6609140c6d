package main

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/consumer/archive/files"
	"github.com/sluicehq/sluice/pkg/event"
)

// batch is what is held in memory until it is written. Its events are kept in progress meanwhile.
type batch struct {
	began time.Time // when its first event came
	bytes int64
	parts map[string]*part // by folder

	mu    sync.Mutex // for the goroutine that keeps it in progress
	held  []jetstream.Msg
	until time.Time // when the first of them may be given to another instance, unless it is kept in progress
}

// part is what goes into one file.
type part struct {
	source, name string
	rows         []files.Row
	again        bool // some of them have been given out before
}

func newBatch() *batch { return &batch{parts: map[string]*part{}} }

// add takes an event that was asked for at a time.
func (b *batch) add(msg jetstream.Msg, e *event.Event, meta *jetstream.MsgMetadata, asked time.Time, ackWait time.Duration) {
	e.Sequence = meta.Sequence.Stream
	received := files.ReceivedOr(e, meta.Timestamp)
	folder := files.FolderOf(e.Source, e.Name, received)
	p := b.parts[folder]
	if p == nil {
		p = &part{source: e.Source, name: e.Name}
		b.parts[folder] = p
	}
	r := files.RowOf(e, received)
	p.rows = append(p.rows, r)
	p.again = p.again || meta.NumDelivered > 1
	b.bytes += int64(len(e.Body) + len(r.Headers))
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.held) == 0 {
		b.began, b.until = time.Now(), asked.Add(ackWait)
	}
	b.held = append(b.held, msg)
}

func (b *batch) len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.held)
}

// span is what the rows cover. It sorts them, and leaves one of each event: after an outage of NATS one may have come
// twice into a batch.
func (p *part) span() files.Span {
	slices.SortFunc(p.rows, func(a, b files.Row) int { return cmp.Compare(a.Sequence, b.Sequence) })
	p.rows = slices.CompactFunc(p.rows, func(a, b files.Row) bool { return a.Sequence == b.Sequence })
	return files.Span{First: uint64(p.rows[0].Sequence), Last: uint64(p.rows[len(p.rows)-1].Sequence)}
}

// keepInProgress says of everything held that it is not forgotten. flush waits until the server has heard it. Where that
// comes too late it says nothing: what may be another instance's is not taken back.
func (b *batch) keepInProgress(ackWait time.Duration, flush func() error) {
	b.mu.Lock()
	held := slices.Clone(b.held)
	b.mu.Unlock()
	if len(held) == 0 || !b.ours(0) {
		return
	}
	said := time.Now()
	for _, msg := range held {
		_ = msg.InProgress()
	}
	if flush() != nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if time.Now().Before(b.until) {
		b.until = said.Add(ackWait)
	}
}

// ours reports whether everything held is ours, and will be for a while. After this process hung, or NATS was away, it
// may be another instance's.
func (b *batch) ours(atLeast time.Duration) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.held) == 0 || time.Until(b.until) > atLeast
}

// settle says the last word about everything held.
func (b *batch) settle(word func(jetstream.Msg) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, msg := range b.held {
		_ = word(msg) // one that is lost costs a repetition
	}
	b.held = nil
}
