package replay

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
	"golang.org/x/sync/errgroup"

	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

// Team is the target of a replay to one team: copies in the stream REPLAY that nobody else reads.
type Team struct {
	name, replay string // the team's name and the replay's id
	js           jetstream.JetStream
	publisher    *stream.Publisher
}

// NewTeam makes the target of one replay. Close it when the replay has ended.
func NewTeam(js jetstream.JetStream, team, replay string) (*Team, error) {
	publisher, err := stream.NewPublisher(js.Conn())
	if err != nil {
		return nil, err
	}
	return &Team{name: team, replay: replay, js: js, publisher: publisher}, nil
}

const (
	batchWithin  = 5 * time.Second
	singleWithin = 30 * time.Second // a cluster that lost its leader takes up to 10 s
)

// Deliver stores copies of events, as durably as the stream stores. They go as one atomic batch, for which the disk is
// synced once; where that fails, because one of them is there already or the answer is lost, each goes by itself under
// the same Nats-Msg-Id. The end of ctx does not break into a batch: what is stored and what is written down as stored
// stay the same.
func (t *Team) Deliver(ctx context.Context, batch []*event.Event) (Outcome, error) {
	if len(batch) > 1 {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), batchWithin)
		defer cancel()
		if _, err := jetstreamext.PublishMsgBatch(bounded, t.js, t.copies(batch)); err == nil {
			return Outcome{Replayed: len(batch)}, nil
		}
	}
	return t.singles(t.copies(batch))
}

// copies have Msg-Ids of their own: the event's own would be swallowed while the stream still knows it.
func (t *Team) copies(batch []*event.Event) []*nats.Msg {
	copies := make([]*nats.Msg, len(batch))
	for i, e := range batch {
		header := nats.Header(e.Copy())
		header.Set(event.HeaderReplay, t.replay)
		header.Set(event.HeaderID, fmt.Sprintf("%s.%d", t.replay, e.Sequence))
		copies[i] = &nats.Msg{Subject: event.ReplaySubject(t.name, e.Source, e.Name), Header: header, Data: e.Body}
	}
	return copies
}

// singles publishes each message and waits for all.
func (t *Team) singles(copies []*nats.Msg) (Outcome, error) {
	type settled struct {
		ack stream.Ack
		err error
	}
	settle := make(chan settled, len(copies))
	outgoing := make([]*stream.Outgoing, len(copies))
	for i, m := range copies {
		outgoing[i] = &stream.Outgoing{Msg: m, Deadline: time.Now().Add(singleWithin),
			Settle: func(ack stream.Ack, err error) { settle <- settled{ack, err} }}
	}
	t.publisher.Publish(outgoing)
	var o Outcome
	var failed error
	for range copies {
		s := <-settle
		switch {
		case s.err != nil:
			failed = fmt.Errorf("store copies in %s: %w", stream.Replay, s.err)
		case s.ack.Duplicate:
			o.Duplicates++
		}
	}
	o.Replayed = len(copies)
	return o, failed
}

// Close ends what the target runs.
func (t *Team) Close() { t.publisher.Close() }

const purgeAtOnce = 32

// Purge removes what a replay has queued and its team has not taken yet, and returns how many. Copies that are in the
// team's hands finish.
func Purge(ctx context.Context, js jetstream.JetStream, team, replay string) (removed int, err error) {
	group, bounded := errgroup.WithContext(ctx)
	group.SetLimit(purgeAtOnce)
	var mu sync.Mutex
	err = stream.Scan(bounded, js, stream.Replay, event.ReplayFilter(team), func(m *jetstream.RawStreamMsg) error {
		if m.Header.Get(event.HeaderReplay) != replay {
			return nil
		}
		group.Go(func() error {
			if err := stream.Delete(bounded, js, stream.Replay, m.Sequence); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			removed++
			return nil
		})
		return nil
	})
	if waited := group.Wait(); waited != nil {
		return removed, waited
	}
	return removed, err
}
