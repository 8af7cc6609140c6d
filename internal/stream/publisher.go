package stream

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// Publisher publishes messages and settles each when its own acknowledgement arrives, in whatever order they come: a
// lost one delays nobody else. What is not acknowledged is sent again under the same Nats-Msg-Id until its deadline,
// within a window and an allowance, so that a NATS that was away is not buried under what waited for it. Sending and
// giving up are apart: a NATS that hangs holds up the one and never the other. It is safe for concurrent use.
type Publisher struct {
	nc      *nats.Conn
	inbox   string // the acknowledgement of message t comes to inbox + t
	acks    *nats.Subscription
	resent  atomic.Uint64
	largest atomic.Int64

	mu        sync.Mutex
	last      uint64
	waiting   map[uint64]*Outgoing
	queue     []*Outgoing // waiting and to be sent, as soon as there is room
	acked     int         // since the last sweep
	window    window
	allowance allowance
	doubts    doubts
	outcome   Outcome

	busy    chan struct{} // holds a token while anything may be waiting
	queued  chan struct{} // holds a token while anything may be queued
	quit    chan struct{}
	running sync.WaitGroup
}

// NewPublisher starts a publisher on a connection, which stays the caller's.
func NewPublisher(nc *nats.Conn) (*Publisher, error) {
	p := &Publisher{
		nc: nc, inbox: nc.NewInbox() + ".", waiting: map[uint64]*Outgoing{}, doubts: newDoubts(),
		busy: make(chan struct{}, 1), queued: make(chan struct{}, 1), quit: make(chan struct{}),
	}
	var err error
	if p.acks, err = nc.Subscribe(p.inbox+"*", p.acknowledged); err != nil {
		return nil, err
	}
	if err := p.acks.SetPendingLimits(-1, -1); err != nil { // as many as are waiting, and they are bounded
		return nil, err
	}
	p.hearRefusals()
	p.running.Go(p.sendQueued)
	p.running.Go(p.sweepWhileBusy)
	return p, nil
}

// Publish takes a group of messages, which are sent together where there is room. It never waits for NATS.
func (p *Publisher) Publish(group []*Outgoing) {
	now := time.Now()
	p.mu.Lock()
	for _, m := range group {
		p.last++
		m.begun, m.token, m.queued = now, p.last, true
		p.waiting[m.token] = m
	}
	p.queue = append(p.queue, group...)
	p.mu.Unlock()
	signal(p.queued)
	signal(p.busy)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// sendAtOnce bounds how many messages are taken from the queue together: those behind them can still be given up.
const sendAtOnce = 64

// sendQueued sends what is queued, in its order. It waits for NATS where that takes nothing: nobody waits for it.
func (p *Publisher) sendQueued() {
	batch := make([]leaving, 0, sendAtOnce)
	for {
		select {
		case <-p.queued:
		case <-p.quit:
			return
		}
		for batch = p.takeQueued(batch[:0], time.Now()); len(batch) > 0; batch = p.takeQueued(batch[:0], time.Now()) {
			for _, l := range batch {
				p.send(l)
			}
			p.largest.Store(p.nc.MaxPayload()) // here, because the client holds its lock while a NATS that hangs takes a connection
		}
	}
}

// leaving is a message that is being sent.
type leaving struct {
	*Outgoing
	msg   *nats.Msg // its own is gone once it is given up
	again bool      // another copy was sent before
}

func (p *Publisher) send(l leaving) {
	switch err := p.nc.PublishMsg(l.msg); {
	case err != nil:
		p.notSent(l.Outgoing, explainUnsent(err))
	case l.again:
		p.resent.Add(1)
	}
}

// takeQueued takes the next messages to send, as far as there is room, and passes over those that are settled or
// overdue. Where there is not room for all, the newest go first: the oldest would be answered too late.
func (p *Publisher) takeQueued(batch []leaving, now time.Time) []leaving {
	p.mu.Lock()
	defer p.mu.Unlock()
	room := p.window.room()
	from, to := 0, min(len(p.queue), sendAtOnce)
	if len(p.queue) > room {
		from, to = len(p.queue)-min(room, sendAtOnce), len(p.queue)
	}
	for _, m := range p.queue[from:to] {
		m.queued = false
		if p.waiting[m.token] == nil || !now.Before(m.Deadline) {
			continue
		}
		m.leave(p.inbox, now)
		p.window.left()
		batch = append(batch, leaving{m, m.Msg, m.copies > 1})
	}
	p.queue = slices.Delete(p.queue, from, to)
	return batch
}

// notSent notes that the client did not send a message.
func (p *Publisher) notSent(m *Outgoing, reason error) {
	p.mu.Lock()
	if isUnsent(reason) {
		m.copies--
		m.unanswered--
		p.allowance.giveBack()
		p.window.answered()
	}
	p.mu.Unlock()
	p.refused(m.token, reason)
}

// acknowledged takes JetStream's answer to one copy of a message.
func (p *Publisher) acknowledged(answer *nats.Msg) {
	digits, again, _ := strings.Cut(answer.Subject[len(p.inbox):], resentMark)
	token, err := strconv.ParseUint(digits, 36, 64)
	if err != nil {
		return // not a subject that we gave out
	}
	ack, err := parseAck(answer)
	if err != nil {
		p.answered(token)
		p.refused(token, err)
		return
	}
	// What is said of a copy that we sent again is said of our own first copy: the message was not there before.
	ack.Duplicate = ack.Duplicate && again == ""
	if m := p.take(token); m != nil {
		m.Settle(ack, nil)
	}
}

// take removes a message that is stored; nil when nothing is known of it, or not any more.
func (p *Publisher) take(token uint64) *Outgoing {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.outcome = Outcome{Acked: now}
	p.acked++
	p.window.answered()
	if len(p.queue) > 0 {
		signal(p.queued)
	}
	if m := p.waiting[token]; m != nil {
		delete(p.waiting, token)
		return m
	}
	return p.doubts.take(token)
}

// answered notes that JetStream has answered one copy of a message, which it did not store.
func (p *Publisher) answered(token uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.window.answered()
	if m := p.waiting[token]; m != nil {
		m.unanswered--
	}
}

// refused plans to send a message again, or gives it up where that is of no use.
func (p *Publisher) refused(token uint64, reason error) {
	p.mu.Lock()
	m := p.waiting[token]
	if m == nil {
		p.mu.Unlock()
		return
	}
	now := time.Now()
	if !m.refused(reason, now, isRefusal(p.outcome.Err)) {
		p.mu.Unlock()
		return
	}
	delete(p.waiting, token)
	if !isUnstorable(reason) { // which says nothing about NATS
		p.outcome.failed(reason, now)
	}
	reason = m.inDoubt(reason)
	p.mu.Unlock()
	p.giveUp(m, reason)
}

// sweepEvery is how often the waiting messages are looked at.
const sweepEvery = 20 * time.Millisecond

// sweepWhileBusy plans what is sent again and gives up what is overdue, and sleeps while nothing is waiting.
func (p *Publisher) sweepWhileBusy() {
	for {
		select {
		case <-p.busy:
		case <-p.quit:
			return
		}
		for p.sweep(time.Now()) {
			select {
			case <-time.After(sweepEvery):
			case <-p.quit:
				return
			}
		}
	}
}

// sweep looks at every waiting message once, and reports whether any is left.
func (p *Publisher) sweep(now time.Time) bool {
	p.mu.Lock()
	overdue, due, out := p.look(now)
	p.window.recount(out+p.doubts.out(now), p.acked)
	p.again(due)
	p.acked = 0
	p.doubts.forget(now)
	left := len(p.waiting) > 0
	p.mu.Unlock()
	for _, m := range overdue {
		p.giveUp(m, m.failure())
	}
	signal(p.queued)
	return left
}

// look sorts the waiting messages: overdue ones wait no longer, due ones are to be sent again, others are on their way.
func (p *Publisher) look(now time.Time) (overdue, due []*Outgoing, out int) {
	for token, m := range p.waiting {
		switch {
		case !now.Before(m.Deadline):
			overdue = append(overdue, m)
			delete(p.waiting, token)
			p.outcome.failed(m.failure(), now)
		case !m.queued && !m.Once && !now.Before(m.again):
			due = append(due, m)
		}
		if m.isOut(now) {
			out++
		}
	}
	return overdue, due, out
}

// again queues what is due, as far as that is allowed, unless there is no room even for what was never sent.
func (p *Publisher) again(due []*Outgoing) {
	p.queue = slices.DeleteFunc(p.queue, func(m *Outgoing) bool { return p.waiting[m.token] == nil })
	if len(p.queue) > 0 {
		due = nil
	}
	for _, m := range p.allowance.choose(due, p.acked) {
		m.queued = true
		p.queue = append(p.queue, m)
	}
}

// giveUp settles a message that is not waiting any more. One in doubt is kept in mind: its acknowledgement may come late.
func (p *Publisher) giveUp(m *Outgoing, reason error) {
	m.Settle(Ack{}, reason)
	p.mu.Lock()
	defer p.mu.Unlock()
	m.Msg = nil // or a NATS that is away would fill the memory
	if isDoubt(reason) {
		p.doubts.add(m, time.Now())
	}
}

// Resent is how many times a message was sent again.
func (p *Publisher) Resent() uint64 { return p.resent.Load() }

// Close stops the publisher. What is still waiting is given up at once; it then waits until the message that is being
// sent has left or failed, which takes as long as the connection takes to notice a NATS that hangs.
func (p *Publisher) Close() {
	close(p.quit)
	p.mu.Lock()
	left := p.waiting
	p.waiting = map[uint64]*Outgoing{}
	p.mu.Unlock()
	for _, m := range left {
		p.giveUp(m, m.failure())
	}
	p.running.Wait()
	_ = p.acks.Unsubscribe() // fails only on a connection that is closed already
}
