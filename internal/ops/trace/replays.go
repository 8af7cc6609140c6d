package trace

import (
	"context"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/ops/replay"
)

// nameReplays says who started the replays that the event's copies belonged to. What the journal does not know, or
// cannot tell, stays without a name.
func (l *Life) nameReplays(ctx context.Context, js jetstream.JetStream) {
	ids := l.replays()
	if len(ids) == 0 {
		return
	}
	journal, err := replay.OpenJournal(ctx, js)
	if err != nil {
		return
	}
	l.Replayed = map[string]string{}
	for id := range ids {
		if e, err := journal.Get(ctx, id); err == nil {
			l.Replayed[id] = e.By
		}
	}
}

func (l *Life) replays() map[string]bool {
	ids := map[string]bool{}
	for _, e := range l.Events {
		for _, f := range e.Teams {
			for _, h := range f.History {
				ids[h.Replay] = true
			}
			for _, c := range f.Copies {
				ids[c.Replay] = true
			}
		}
	}
	delete(ids, "")
	return ids
}
