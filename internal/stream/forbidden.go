package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
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

// ErrForbidden means that the user of a connection may not do what was asked; wrapped, it names the subject.
var ErrForbidden = errors.New("NATS does not let this user publish on")

// hearers are those who want to know what NATS does not let a connection do.
var hearers struct {
	sync.Mutex
	all []*hearer
}

type hearer struct {
	nc    *nats.Conn
	heard func(subject string)
}

// onForbidden calls heard, until stop is called, with each subject on which the user of a connection that [Connect] made
// may not publish, when it was tried.
func onForbidden(nc *nats.Conn, heard func(subject string)) (stop func()) {
	one := &hearer{nc, heard}
	hearers.Lock()
	defer hearers.Unlock()
	hearers.all = append(hearers.all, one)
	return func() {
		hearers.Lock()
		defer hearers.Unlock()
		hearers.all = slices.DeleteFunc(hearers.all, func(h *hearer) bool { return h == one })
	}
}

// UnlessForbidden is a context that ends, with [ErrForbidden] as its cause, as soon as NATS says that the user of a
// connection may not publish on a subject that has a text in it: who waits for an answer to that waits in vain.
func UnlessForbidden(ctx context.Context, nc *nats.Conn, part string) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	deaf := onForbidden(nc, func(subject string) {
		if strings.Contains(subject, part) {
			cancel(fmt.Errorf("%w %s", ErrForbidden, subject))
		}
	})
	return ctx, func() { deaf(); cancel(nil) }
}

// tellForbidden tells them.
func tellForbidden(nc *nats.Conn, err error) {
	subject := forbiddenSubject(err)
	if subject == "" {
		return
	}
	hearers.Lock()
	defer hearers.Unlock()
	for _, h := range hearers.all {
		if h.nc == nc {
			h.heard(subject)
		}
	}
}
