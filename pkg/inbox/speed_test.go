package inbox

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/pkg/event"
)

// BenchmarkOnce has effects of one row each, so many at the same time, each durable before it counts: in groups, and with
// a transaction each.
//
//	go test -run '^$' -bench Once -benchtime 3s ./pkg/inbox
func BenchmarkOnce(b *testing.B) {
	alone := func(i *Inbox) { i.commit = func(ctx context.Context, f effect) error { return transact(ctx, i.db, f) } }
	for _, how := range []struct {
		name  string
		apply func(*Inbox)
	}{{"together", func(*Inbox) {}}, {"alone", alone}} {
		for _, handlers := range []int{1, 16, 128} {
			for name, s := range map[string]Settings{"SQLite": {Data: b.TempDir()}, "PostgreSQL": {DatabaseURL: rig.StartPostgres(b).URL()}} {
				b.Run(fmt.Sprintf("%s/%s/handlers=%d", name, how.name, handlers), func(b *testing.B) { benchmarkOnce(b, s, handlers, how.apply) })
			}
		}
	}
}

func benchmarkOnce(b *testing.B, s Settings, handlers int, apply func(*Inbox)) {
	i, err := Open(b.Context(), "pbx", s, effects)
	if err != nil {
		b.Fatal(err)
	}
	defer i.Close()
	apply(i)
	next := make(chan *event.Event)
	var all sync.WaitGroup
	for range handlers {
		all.Go(func() {
			for e := range next {
				if err := i.Once(context.Background(), e, write(e)); err != nil {
					b.Error(err)
				}
			}
		})
	}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		next <- &event.Event{Identity: fmt.Sprintf("%s-%d/0123456789abcdef", b.Name(), n)}
	}
	close(next)
	all.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
