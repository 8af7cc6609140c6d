package ingest

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sluicehq/sluice/gateway/seen"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

// settle ends a delivery at its own acknowledgement: only now is it marked as stored, and answered. An acknowledgement
// that comes after the answer still marks. What is not acknowledged in time is kept in the journal, where there is one.
func (p *Path) settle(d *delivery, ack stream.Ack, err error) {
	if err == nil {
		p.acknowledged(d, ack)
	}
	if d.doubtful {
		return
	}
	if d.span != nil {
		p.tracePublish(d, ack, err)
	}
	d.doubtful = errors.Is(err, stream.ErrInDoubt)
	if err != nil && d.Once && !errors.Is(err, stream.ErrUnstorable) {
		p.notAcknowledged(d, err)
		p.spill(d)
		return
	}
	if d.doubtful && d.quarantined == "" {
		p.doubts.add(d.published)
	}
	p.metrics.settled(d, err)
	p.logSettled(d, ack, err)
	p.end(d, ack, err)
}

// end answers a delivery by what became of it. One that is not stored, or was before, is no copy that counts.
func (p *Path) end(d *delivery, ack stream.Ack, err error) {
	if err != nil || ack.Duplicate {
		p.copies.leave(d)
	}
	p.answer(d, p.outcome(d, ack, err))
}

// acknowledged notes that NATS has stored a delivery, and so that it answers.
func (p *Path) acknowledged(d *delivery, ack stream.Ack) {
	if p.away.Load() {
		p.away.Store(false)
	}
	if d.quarantined == "" {
		p.marks.add(seen.Mark{Identity: d.identity, Sequence: ack.Sequence, Stored: d.published})
	}
}

// notAcknowledged notes that NATS did not store a delivery in time. Where it has acknowledged nothing since that was
// published, nobody waits for it any more.
func (p *Path) notAcknowledged(d *delivery, err error) {
	if p.hub.Acked().After(d.published) {
		return
	}
	if !p.away.Swap(true) {
		p.refused.Warn("away", "NATS does not acknowledge: deliveries are kept in the journal and answered from there", err, "see /readyz for the state of NATS")
	}
}

// spill hands deliveries to the keeper. What is published of them is theirs only until they are settled.
func (p *Path) spill(group ...*delivery) {
	for _, d := range group {
		d.keeps, d.spilled = d.Msg, !p.JournalFirst
	}
	p.keeper.put(group...)
}

// answer lets a delivery's handler go on, which takes it as its last word.
func (p *Path) answer(d *delivery, given *answer) {
	d.fate <- given
	p.gathered.answered()
}

// outcome is the one table from what became of a delivery to its answer.
func (p *Path) outcome(d *delivery, ack stream.Ack, err error) *answer {
	switch {
	case errors.Is(err, nats.ErrMaxPayload): // NATS takes less than SLUICE_MAX_BODY
		return p.answers.tooLarge
	case errors.Is(err, stream.ErrUnstorable):
		return p.answers.unstorable
	case err != nil: // in doubt, not stored, or refused
		return p.answers.notStored
	case d.quarantined == late:
		return p.answers.quarantinedLate
	case d.quarantined == unroutable:
		return p.answers.quarantinedUnroutable
	case d.quarantined == replayed:
		return p.answers.quarantinedReplayed
	case ack.Duplicate:
		return p.answers.duplicate
	}
	return p.answers.ok
}

func (p *Path) logSettled(d *delivery, ack stream.Ack, err error) {
	if err != nil {
		p.logFailed(err)
		return
	}
	if !p.log.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	p.log.Debug("stored", "event", d.name, "delivery", event.DeliveryOf(d.identity), "source", p.source.Name,
		"stream", ack.Stream, "sequence", ack.Sequence, "duplicate", ack.Duplicate, "quarantine", string(d.quarantined),
		"took", time.Since(d.received))
}

func (p *Path) logKept(d *delivery, ack stream.Ack) {
	if p.log.Enabled(context.Background(), slog.LevelDebug) {
		p.log.Debug("kept in the journal", "event", d.name, "delivery", event.DeliveryOf(d.identity), "source", p.source.Name,
			"duplicate", ack.Duplicate, "quarantine", string(d.quarantined), "took", time.Since(d.received))
	}
}

func (p *Path) logNotKept(err error) {
	if !errors.Is(err, nats.ErrMaxPayload) {
		p.refused.Warn("not_kept", "cannot write deliveries to the journal: answering 503, the sender retries", err, "see /readyz: make room for the journal, or raise SLUICE_JOURNAL_MAX_BYTES")
	}
}

func (p *Path) logFailed(err error) {
	switch {
	case errors.Is(err, stream.ErrUnstorable):
		p.refused.Warn("unstorable", "authentic deliveries are answered 400, because NATS can never store them", err, "a limit of NATS is below the gateway's own: raise max_payload, or lower SLUICE_MAX_BODY")
	case errors.Is(err, stream.ErrRefused):
		p.refused.Warn("refused_by_nats", "NATS refuses to store deliveries: answering 503, the sender retries", err, "make room for EVENTS, or let this user publish there: the error says which")
	default:
		p.refused.Warn("not_stored", "cannot store deliveries: answering 503, the sender retries", err, "see /readyz for the state of NATS")
	}
}
