package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/stream"
)

// However many ask at the same time, a few read: with all of them reading, NATS cuts the one connection of the console. Who
// waits in vain is told so.
func TestFewPagesReadAtTheSameTime(t *testing.T) {
	t.Parallel()
	s := &server{reading: make(chan struct{}, mostReading)}
	var now, most, read atomic.Int64
	page := s.few(func(*http.Request) (any, error) {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		time.Sleep(time.Millisecond)
		read.Add(1)
		return nil, nil
	})
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	var all sync.WaitGroup
	for range 60 {
		all.Go(func() { _, _ = page(request) })
	}
	all.Wait()
	if most.Load() > mostReading || read.Load() != 60 {
		t.Errorf("%d read, %d at the same time", read.Load(), most.Load())
	}
	for range mostReading {
		s.reading <- struct{}{}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := page(request.WithContext(ended)); !errors.Is(err, errBusy) {
		t.Errorf("who waits in vain is told %v", err)
	}
}

// A page that needs a stream which is not there says what to do.
func TestAMissingStreamIsNotAnErrorOfTheAPI(t *testing.T) {
	t.Parallel()
	g := newStage(t, Settings{})
	for _, name := range []string{stream.Dead, stream.Events} {
		if err := g.js.DeleteStream(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"/requests", "/problems", "/replay/new", "/problems/dead/1"} {
		if status, _, body := g.visitor().ask(http.MethodGet, path, nil); status != http.StatusBadGateway || !strings.Contains(body, "start a gateway") {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}
