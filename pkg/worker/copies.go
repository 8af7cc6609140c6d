package worker

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sluicehq/sluice/pkg/event"
)

const (
	storeWithin = 5 * time.Second
	storeAgain  = 5 * time.Second // after a copy could not be stored, the event itself comes again
)

// postpone stores a copy of an event that failed in the stream RETRY, which lets it go when its time has come; on
// return without an error it is acknowledged there. It holds nothing up meanwhile, and outlives every process. One
// that is stored twice, because the first word about it was lost, replaces itself while it waits.
func (w *worker) postpone(ctx context.Context, h *inFlight, pause time.Duration, cause error) error {
	e := h.event.Failed(time.Now(), cause)
	due := time.Now().Add(pause).UTC()
	wait, target := event.WaitSubject(w.team.Name, h.origin), event.RetrySubject(w.team.Name, e.Source, e.Name)
	if w.own {
		wait, target = event.AgainWaitSubject(w.team.Name, h.origin), event.AgainSubject(w.team.Name, e.Source, e.Name)
	}
	return w.store(ctx, h, wait, e, map[string]string{
		// The client's option would cut the time to whole seconds.
		"Nats-Schedule":        "@at " + due.Format(time.RFC3339Nano),
		"Nats-Schedule-Target": target,
	})
}

// deadLetter stores a dead letter; on return without an error it is acknowledged by the stream DEAD.
func (w *worker) deadLetter(ctx context.Context, h *inFlight, reason string, cause error) (failed error) {
	e := h.event.Failed(time.Now(), cause)
	last := e.Failures[len(e.Failures)-1]
	begin := time.Now()
	defer func() { w.traceDeadLetter(h, reason, begin, failed) }()
	return w.store(ctx, h, event.DeadSubject(w.team.Name, e.Source, e.Name), e, map[string]string{
		event.HeaderTeam: w.team.Name, event.HeaderReason: reason, event.HeaderError: last.Error,
		event.HeaderFailed: last.At.Format(time.RFC3339Nano),
	})
}

// store publishes a copy and waits for its acknowledgement. Its Nats-Msg-Id names the team and the message that it
// follows, so that a repetition after a crash stores nothing twice.
func (w *worker) store(ctx context.Context, h *inFlight, subject string, e *event.Event, more map[string]string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeWithin)
	defer cancel()
	header := nats.Header(e.Copy())
	header[event.HeaderID] = []string{w.team.Name + "." + h.origin + w.mark}
	if h.span != nil {
		w.traceCopy(h, header)
	}
	for key, value := range more {
		header[key] = []string{value}
	}
	_, err := w.js.PublishMsg(ctx, &nats.Msg{Subject: subject, Header: header, Data: e.Body})
	return err
}
