package worker

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/stream"
)

// Headers of a dead letter, beside those of the event itself.
const (
	HeaderTeam     = "Sluice-Team"     // who gave it up
	HeaderReason   = "Sluice-Reason"   // ReasonPermanent or ReasonExhausted
	HeaderError    = "Sluice-Error"    // the last error, one line
	HeaderAttempts = "Sluice-Attempts" // how many there were
	HeaderSequence = "Sluice-Sequence" // of the event in EVENTS
	HeaderIdentity = "Sluice-Identity" // of the event; Nats-Msg-Id is the dead letter's own
	HeaderFailed   = "Sluice-Failed"   // when it was given up: RFC 3339, nanoseconds, UTC
)

const (
	buryWithin = 5 * time.Second
	buryAgain  = 5 * time.Second
	maxError   = 1000 // bytes of the last error that are kept
)

// bury stores a dead letter; on return without an error it is acknowledged by the stream DEAD. Its Nats-Msg-Id names
// the event and the team, so that a repetition after a crash stores nothing twice.
func (w *worker) bury(ctx context.Context, h *held, reason string, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), buryWithin)
	defer cancel()
	_, err := w.js.PublishMsg(ctx, w.deadLetter(h.event, reason, cause))
	return err
}

func (w *worker) deadLetter(e *event.Event, reason string, cause error) *nats.Msg {
	header := maps.Clone(nats.Header(e.Header))
	if header == nil {
		header = nats.Header{}
	}
	for key, value := range map[string]string{
		event.HeaderID: fmt.Sprintf("%s.%d.%s", stream.Events, e.Sequence, w.team.Name),
		HeaderTeam:     w.team.Name, HeaderReason: reason, HeaderError: oneLine(cause.Error()),
		HeaderAttempts: strconv.Itoa(e.Attempt), HeaderSequence: strconv.FormatUint(e.Sequence, 10),
		HeaderIdentity: e.Identity, HeaderFailed: time.Now().UTC().Format(time.RFC3339Nano),
	} {
		header[key] = []string{value}
	}
	return &nats.Msg{Subject: event.DeadSubject(w.team.Name, e.Source, e.Name), Header: header, Data: e.Body}
}

// oneLine makes an error fit for a header.
func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	return strings.ToValidUTF8(text[:min(len(text), maxError)], "")
}
