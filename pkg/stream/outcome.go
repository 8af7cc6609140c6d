package stream

import "time"

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
