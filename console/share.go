package main

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"
)

// shares let browsers that have the same page open share what is looked up to keep it up to date. It is safe for
// concurrent use.
type shares struct {
	mu sync.Mutex
	of map[string]*share
}

// share is one answer, looked up once.
type share struct {
	at    time.Time
	once  sync.Once
	value any
	err   error
}

const mostShares = 100

// shared is a page's data, looked up anew for each one that is opened, and together for those that are open.
func (s *server) shared(data func(*http.Request) (any, error)) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		if !strings.HasPrefix(r.Header.Get("Accept"), "text/event-stream") {
			return data(r)
		}
		one := s.shares.get(r.URL.RequestURI(), s.every/2)
		one.once.Do(func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), answerWithin) // others may wait for it
			defer cancel()
			one.value, one.err = data(r.WithContext(ctx))
		})
		return one.value, one.err
	}
}

// get returns the answer of a page that is not older than that, or one to be looked up.
func (s *shares) get(page string, most time.Duration) *share {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one := s.of[page]; one != nil && time.Since(one.at) < most {
		return one
	}
	if s.of == nil || len(s.of) >= mostShares {
		s.of = map[string]*share{}
	}
	one := &share{at: time.Now()}
	s.of[page] = one
	return one
}

// few lets a few pages read messages at the same time: the others wait for their turn. All have one connection to NATS,
// which is lost for everybody when more comes than it takes.
func (s *server) few(data func(*http.Request) (any, error)) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) { return inTurn(r, s.reading, data) }
}

func inTurn(r *http.Request, places chan struct{}, data func(*http.Request) (any, error)) (any, error) {
	select {
	case places <- struct{}{}:
		defer func() { <-places }()
		return data(r)
	case <-r.Context().Done():
		return nil, errBusy
	}
}
