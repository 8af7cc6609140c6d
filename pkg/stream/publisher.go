package stream

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// Outgoing is a message on its way into a stream. It must not be changed until it is settled.
type Outgoing struct {
	Msg      *nats.Msg // with a Nats-Msg-Id header, which makes sending it again harmless; Reply is the publisher's
	Deadline time.Time // from then on it is given up

	// Settle is called exactly once, on a goroutine of the publisher's: with a nil error the message is stored as
	// durably as the stream stores. It must not block.
	Settle func(Ack, error)

	token  uint64
	again  time.Time     // when to send it again
	pause  time.Duration // the pause before that one, which doubles
	reason error         // why it was not stored so far
}

// ErrNotStored says that no acknowledgement came before the deadline. The message may be stored all the same; sent
// again under its Nats-Msg-Id it is stored once.
var ErrNotStored = errors.New("not acknowledged by JetStream in time")

// How a message without an acknowledgement is sent again.
const (
	ackWait    = 500 * time.Millisecond // silence for this long means that message or answer were lost
	firstPause = 40 * time.Millisecond  // a planned change of leader takes 30 to 90 ms
	sweepEvery = 20 * time.Millisecond
)

// Publisher publishes messages and settles each when its own acknowledgement arrives, in whatever order they come: a
// lost one delays nobody else. What is refused or not answered is sent again under the same Nats-Msg-Id until its
// deadline. It is safe for concurrent use.
type Publisher struct {
	nc     *nats.Conn
	inbox  string // the acknowledgement of message t comes to inbox + t
	acks   *nats.Subscription
	resent atomic.Uint64

	mu      sync.Mutex
	last    uint64
	waiting map[uint64]*Outgoing
	outcome Outcome

	busy chan struct{} // holds a token while anything may be waiting
	quit chan struct{}
	done chan struct{}
}

// NewPublisher starts a publisher on a connection, which stays the caller's.
func NewPublisher(nc *nats.Conn) (*Publisher, error) {
	p := &Publisher{
		nc: nc, inbox: nc.NewInbox() + ".", waiting: map[uint64]*Outgoing{},
		busy: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{}),
	}
	var err error
	if p.acks, err = nc.Subscribe(p.inbox+"*", p.acknowledged); err != nil {
		return nil, err
	}
	if err := p.acks.SetPendingLimits(-1, -1); err != nil { // as many as are waiting, and they are bounded
		return nil, err
	}
	go p.sweepWhileBusy()
	return p, nil
}

// Publish sends a group of messages in one flush. It returns without waiting for acknowledgements.
func (p *Publisher) Publish(group []*Outgoing) {
	p.enlist(group)
	for _, m := range group {
		p.send(m)
	}
}

func (p *Publisher) enlist(group []*Outgoing) {
	silent := time.Now().Add(ackWait)
	p.mu.Lock()
	for _, m := range group {
		p.last++
		m.token, m.again = p.last, silent
		m.Msg.Reply = p.inbox + strconv.FormatUint(m.token, 36)
		p.waiting[m.token] = m
	}
	p.mu.Unlock()
	select {
	case p.busy <- struct{}{}:
	default:
	}
}

func (p *Publisher) send(m *Outgoing) {
	if err := p.nc.PublishMsg(m.Msg); err != nil {
		p.refused(m.token, err)
	}
}

// acknowledged takes JetStream's answer to one message.
func (p *Publisher) acknowledged(answer *nats.Msg) {
	token, err := strconv.ParseUint(answer.Subject[len(p.inbox):], 36, 64)
	if err != nil {
		return // not a subject that we gave out
	}
	ack, err := parseAck(answer)
	if err != nil {
		p.refused(token, err)
		return
	}
	if m := p.take(token); m != nil {
		m.Settle(ack, nil)
	}
}

// take removes a message that is settled; nil when it was already.
func (p *Publisher) take(token uint64) *Outgoing {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.waiting[token]
	delete(p.waiting, token)
	p.outcome = Outcome{Acked: time.Now()}
	return m
}

// refused plans to send a message again, soon and then less and less soon.
func (p *Publisher) refused(token uint64, reason error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if m := p.waiting[token]; m != nil {
		m.reason = reason
		m.pause = min(max(2*m.pause, firstPause), ackWait)
		m.again = time.Now().Add(m.pause)
	}
}

// sweepWhileBusy sends again and gives up, and sleeps while nothing is waiting.
func (p *Publisher) sweepWhileBusy() {
	defer close(p.done)
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
	var overdue, silent []*Outgoing
	p.mu.Lock()
	for token, m := range p.waiting {
		switch {
		case !now.Before(m.Deadline):
			overdue = append(overdue, m)
			delete(p.waiting, token)
		case !now.Before(m.again):
			silent = append(silent, m)
			m.again = now.Add(ackWait)
		}
	}
	left := len(p.waiting) > 0
	for _, m := range overdue {
		p.outcome.failed(m.failure(), now)
	}
	p.mu.Unlock()
	for _, m := range overdue {
		m.giveUp()
	}
	for _, m := range silent {
		p.resent.Add(1)
		p.send(m)
	}
	return left
}

func (m *Outgoing) giveUp() { m.Settle(Ack{}, m.failure()) }

func (m *Outgoing) failure() error {
	if m.reason == nil {
		return ErrNotStored
	}
	return fmt.Errorf("%w: %w", ErrNotStored, m.reason)
}

// Outcome is what the last publishes came to: the only true sign of whether NATS stores.
type Outcome struct {
	Acked time.Time // when the last message was acknowledged; zero when none was
	Err   error     // why the last message was not stored; nil when one was acknowledged after it, or none failed
	Since time.Time // when the first one failed after the last acknowledgement; zero while Err is nil
}

func (o *Outcome) failed(err error, now time.Time) {
	if o.Err == nil {
		o.Since = now
	}
	o.Err = err
}

// Outcome tells what the last publishes came to. It never waits for NATS.
func (p *Publisher) Outcome() Outcome {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.outcome
}

// Resent is how many times a message was sent again.
func (p *Publisher) Resent() uint64 { return p.resent.Load() }

// Close stops the publisher. What is still waiting is given up.
func (p *Publisher) Close() {
	close(p.quit)
	<-p.done
	_ = p.acks.Unsubscribe() // fails only on a connection that is closed already
	p.mu.Lock()
	left := p.waiting
	p.waiting = map[uint64]*Outgoing{}
	p.mu.Unlock()
	for _, m := range left {
		m.giveUp()
	}
}
