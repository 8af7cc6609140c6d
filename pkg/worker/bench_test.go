package worker

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/sluicehq/sluice/pkg/event"
)

// How fast a backlog drains, and what an event costs the process: go test -bench Backlog -run '^$' ./pkg/worker
func BenchmarkBacklog(b *testing.B) {
	h := newHub(b)
	h.publishMany("backlog", b.N)
	var handled atomic.Int64
	all := make(chan struct{})
	b.ReportAllocs()
	b.ResetTimer()
	stop := h.start(Team{Name: "team"}, Settings{Concurrency: 16}, func(context.Context, *event.Event) error {
		if handled.Add(1) == int64(b.N) {
			close(all)
		}
		return nil
	})
	<-all
	b.StopTimer()
	stop()
}
