package stream

import (
	"fmt"
	"time"
)

// Outcome is what the last publishes came to: the only true sign of whether NATS stores.
type Outcome struct {
	Acked  time.Time // when the last message was acknowledged; zero when none was
	Err    error     // why the last message was not stored; nil when one was acknowledged after it, or none failed
	Since  time.Time // when the first one failed after the last acknowledgement; zero while Err is nil
	Failed time.Time // when the last one failed; zero while Err is nil

	Waiting time.Time // when the oldest of what waits was published; zero while nothing waits
	Reason  error     // why that was not stored so far
}

func (o *Outcome) failed(err error, now time.Time) {
	if o.Err == nil {
		o.Since = now
	}
	o.Err, o.Failed = err, now
}

// How long publishes speak for NATS.
const (
	ackSilence = time.Second      // without an acknowledgement, while something waits
	remembers  = 10 * time.Second // a failure; or one that sends no more because of it would never learn that it has passed
)

// Failing is why NATS stores nothing now, as far as the last publishes tell; nil where they tell nothing of that.
func (o Outcome) Failing(now time.Time) error {
	if o.Err != nil && now.Sub(o.Failed) < remembers {
		return o.Err
	}
	if o.Waiting.IsZero() || now.Sub(o.Waiting) < ackSilence || now.Sub(o.Acked) < ackSilence {
		return nil
	}
	waited := now.Sub(o.Waiting).Round(100 * time.Millisecond)
	if o.Reason != nil {
		return fmt.Errorf("no message was acknowledged for %s: %w", waited, o.Reason)
	}
	return fmt.Errorf("no message was acknowledged for %s", waited)
}

// Acked is when a message was acknowledged last; zero when none was.
func (p *Publisher) Acked() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.outcome.Acked
}

// Largest is how many bytes a message may have, header and all, as NATS said when something was sent last; 0 before. It
// never waits for NATS.
func (p *Publisher) Largest() int64 { return p.largest.Load() }

// Outcome tells what the last publishes came to. It never waits for NATS.
func (p *Publisher) Outcome() Outcome {
	p.mu.Lock()
	defer p.mu.Unlock()
	told := p.outcome
	for _, m := range p.waiting {
		if told.Waiting.IsZero() || m.begun.Before(told.Waiting) {
			told.Waiting, told.Reason = m.begun, m.reason
		}
	}
	return told
}
