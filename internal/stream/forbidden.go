package stream

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// hearRefusals listens for what this user may not publish: NATS says so on the connection, and not in answer to the
// message.
func (p *Publisher) hearRefusals() {
	before := p.nc.ErrorHandler()
	p.nc.SetErrorHandler(func(nc *nats.Conn, s *nats.Subscription, err error) {
		if subject := forbiddenSubject(err); subject != "" {
			p.forbidden(subject, fmt.Errorf("%w: %w", ErrRefused, err))
		}
		if before != nil {
			before(nc, s, err)
		}
	})
}

// forbidden gives up what waits on a subject.
func (p *Publisher) forbidden(subject string, reason error) {
	var given []*Outgoing
	p.mu.Lock()
	for token, m := range p.waiting {
		if m.copies > 0 && m.Msg.Subject == subject {
			given = append(given, m)
			delete(p.waiting, token)
			p.outcome.failed(reason, time.Now())
		}
	}
	p.mu.Unlock()
	for _, m := range given {
		p.giveUp(m, reason)
	}
}

// forbiddenSubject is the subject that the user of a connection may not publish on; empty when the error is another one.
func forbiddenSubject(err error) string {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return ""
	}
	_, rest, _ := strings.Cut(err.Error(), `Publish to "`)
	subject, _, _ := strings.Cut(rest, `"`)
	return subject
}
