// Package ingest is the path of a request: verify → seen? → journal → publish → mark → answer.
//
// It is a group commit. Handlers verify without I/O, pass their delivery to the committer and wait for its outcome. The
// committer takes all deliveries that have come meanwhile, one or five hundred, and looks all of them up at once. New
// ones go one of two ways. With the embedded NATS it is kept in the journal with one sync and answered, and the drain
// publishes it from there. With NATS elsewhere it is published in one flush, and each delivery is answered when its own
// acknowledgement comes; one for which none comes in time is kept in the journal instead.
package ingest

import (
	"context"
	"log/slog"
	"net"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/sluicehq/sluice/gateway/source"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/internal/tracing"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/signature"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

// Budget is how long a delivery may take from its first byte read to its answer. Zorio hangs up after 5 s.
const Budget = 4 * time.Second

// spillAfter is how long NATS has to acknowledge what could be kept in the journal: several round trips, and far less than
// the election of a leader.
const spillAfter = 500 * time.Millisecond

// maxGroup bounds how many deliveries are committed together.
const maxGroup = 512

// Path handles requests. Serve is safe for concurrent use; Close ends it.
type Path struct {
	Config
	source  *source.Source
	answers *answers
	secrets atomic.Pointer[secrets]
	seen    Seen
	hub     *stream.Publisher
	copies  *copies
	marks   *marks
	sender  *sender
	doubts  *doubts
	metrics *metrics
	tracer  tracing.Tracer // nil: nothing is traced
	log     *slog.Logger
	refused *telemetry.Limiter

	refusals *refusals
	inside   atomic.Int64
	bytes    room
	leaving  atomic.Bool
	stopping chan struct{} // closed when nothing more is let in
	gathered *gathering
	keeper   *keeper
	away     atomic.Bool // NATS does not answer: nobody waits for it until it does
	done     sync.WaitGroup
}

// Serve handles one request, from its headers to its answer.
func (p *Path) Serve(ctx *fasthttp.RequestCtx) {
	c := ctx.Conn().(*connection)
	defer c.release()
	r := request{conn: c}
	given := p.receive(&r, ctx)
	if !c.arrived() {
		given = p.answerTo(&r, net.ErrClosed)
	}
	begin, size := time.Now(), len(r.body)
	if given == nil {
		given = p.admit(&r, begin)
	}
	took := time.Since(begin)
	p.tell(&r, &ctx.Request.Header, given, took)
	given.write(ctx)
	if given == p.answers.stopping || p.leaving.Load() {
		ctx.SetConnectionClose()
	}
	if !c.end(r.length) {
		ctx.SetConnectionClose()
		linger(c)
	}
	p.metrics.answered(given, took, size)
	p.sender.answered(&r, &ctx.Request.Header, given, took, begin.Add(took))
}

// receive reads a request, and no more of it than it takes to refuse it.
func (p *Path) receive(r *request, ctx *fasthttp.RequestCtx) (refusal *answer) {
	if refusal := p.greet(r, &ctx.Request.Header); refusal != nil {
		return refusal
	}
	var err error
	if r.body, err = r.conn.body(r.length, p.MaxBody); err != nil {
		return p.answerTo(r, err)
	}
	return nil
}

// admit limits the concurrent requests, and contains a panic in one of them.
func (p *Path) admit(r *request, now time.Time) (given *answer) {
	defer p.inside.Add(-1)
	defer func() {
		if cause := recover(); cause != nil { // fasthttp would let it end the process
			p.log.Error("a request caused a panic", "panic", cause, "stack", string(debug.Stack()))
			given = p.answers.broken
		}
	}()
	switch {
	case p.inside.Add(1) > int64(p.MaxInflight):
		return p.overloaded(r)
	case p.ends():
		return p.answers.stopping
	}
	d, refusal := p.verify(r, now)
	if refusal != nil {
		return refusal
	}
	r.body = d.Msg.Data
	r.conn.drop() // what is published owns its bytes
	if given = p.waitUntilOpen(d); given == nil {
		p.gathered.put(d)
		given = <-d.fate
	}
	if d.span != nil {
		p.traceAnswer(d, given)
	}
	return given
}

// verify turns a request into a delivery, or into the answer that refuses it. It does no I/O and allocates nothing
// for a refused request. The order of its questions is the contract's.
func (p *Path) verify(r *request, now time.Time) (*delivery, *answer) {
	sent, age, stale := p.ageOf(r, now)
	secrets := p.secrets.Load()
	secret, authentic := p.source.Verify(secrets.keys, r.signature, r.body)
	if !authentic {
		return nil, p.forged(r, stale)
	}
	secrets.matched(secret, now)
	r.authentic, r.stale, r.age = true, stale, age
	if acceptable := sent != 0 && age > 0 && age <= p.AcceptLate; stale && !acceptable {
		r.refuse(p.answers.quarantinedLate, "authentic but stale: kept in QUARANTINE; SLUICE_LATE=accept takes it in")
		return p.quarantine(r, late, now), nil
	}
	return p.event(r, now), nil
}

// ageOf is how long ago a request says it was sent, and whether that is out of tolerance; sent is 0 where it does not
// say.
func (p *Path) ageOf(r *request, now time.Time) (sent int64, age time.Duration, stale bool) {
	sent = seconds(r.timestamp)
	age = now.Sub(time.Unix(sent, 0))
	return sent, age, sent == 0 || age.Abs() > p.source.Tolerance
}

// forged is the answer to what is not authentic.
func (p *Path) forged(r *request, stale bool) *answer {
	if stale {
		return r.refuse(p.answers.stale, "stale timestamp, and the signature is wrong too")
	}
	return r.refuse(p.answers.invalid, "no secret made this signature: compare ZORIO_WEBHOOK_SECRET with the sender's console")
}

// event makes an ordinary delivery, or one for quarantine when it cannot be routed.
func (p *Path) event(r *request, now time.Time) *delivery {
	name, err := p.source.EventName(r.body)
	if err != nil {
		r.refuse(p.answers.quarantinedUnroutable, err.Error())
		return p.quarantine(r, unroutable, now)
	}
	d := p.newDelivery(r, now)
	d.name = name
	d.identity = identityOf(r.delivery, r.signature, p.BodyIdentity)
	d.Msg = r.message(p.source.Name, d, event.Subject(p.source.Name, name), d.identity)
	return d
}

// quarantine makes a delivery that is kept although it is not an event. Its identity is its signature: whatever else
// differs between two copies is not signed.
func (p *Path) quarantine(r *request, why reason, now time.Time) *delivery {
	d := p.newDelivery(r, now)
	d.quarantined = why
	d.identity = signature.Hex(string(r.signature))
	d.Msg = r.message(p.source.Name, d, event.QuarantineSubject(p.source.Name, string(why)), d.identity)
	return d
}

// putAside turns an event into a delivery for quarantine, where the copies of one signature become one within the stream's
// duplicate window.
func (p *Path) putAside(d *delivery) {
	p.refuse(p.answers.quarantinedReplayed, "an authentic body came under more delivery ids than SLUICE_MAX_COPIES allows, and goes to QUARANTINE, where one copy every 5 minutes is kept: somebody sends a captured request again, or the sender's events have the same bytes")
	d.quarantined = replayed
	d.identity = signature.Hex(d.Msg.Header.Get(p.source.HeaderSignature))
	d.Msg.Header.Set(event.HeaderID, d.identity)
	d.Msg.Subject = event.QuarantineSubject(p.source.Name, string(replayed))
}

func (p *Path) newDelivery(r *request, now time.Time) *delivery {
	d := &delivery{received: now, fate: make(chan *answer, 1)}
	if p.tracer != nil {
		p.trace(d, r)
	}
	d.Deadline = now.Add(Budget)
	if d.Once = p.Journal != nil; d.Once {
		d.Deadline = now.Add(spillAfter)
	}
	d.Settle = func(ack stream.Ack, err error) { p.settle(d, ack, err) }
	return d
}

// commitGroups takes what has gathered and commits it together, until the end.
func (p *Path) commitGroups() {
	group := make([]*delivery, 0, maxGroup)
	for group = p.gathered.take(group); len(group) > 0; group = p.gathered.take(group) {
		p.commit(group)
	}
}

// commit settles a group: what is already stored is a duplicate, the rest is kept in the journal or published. Each
// delivery of it is settled when its own acknowledgement comes, while the next group is already on its way.
func (p *Path) commit(group []*delivery) {
	p.metrics.groups.Observe(float64(len(group)))
	fresh := p.answerSeen(group)
	for _, d := range p.copies.enter(fresh, time.Now()) {
		p.putAside(d)
	}
	switch {
	case p.isFull(fresh):
	case p.keepsFirst():
		p.spill(fresh...)
	default:
		p.publish(p.withoutKept(fresh))
	}
}

// isFull refuses a group where nothing more may be stored.
func (p *Path) isFull(fresh []*delivery) bool {
	if p.Full == nil {
		return false
	}
	err := p.Full()
	if err != nil {
		for _, d := range fresh {
			p.logFailed(err)
			p.end(d, stream.Ack{}, err)
		}
	}
	return err != nil
}

// keepsFirst reports whether deliveries go into the journal before NATS gets them: always, or because it is away.
func (p *Path) keepsFirst() bool {
	return p.Journal != nil && (p.JournalFirst || p.away.Load() || !p.isOpen())
}

// Spilling reports whether deliveries are kept in the journal because NATS does not acknowledge them.
func (p *Path) Spilling() bool { return !p.JournalFirst && p.keepsFirst() }

// answerSeen answers what is known to be stored and returns the rest. What its memory does not know is new: the
// stream's duplicate window decides.
func (p *Path) answerSeen(group []*delivery) []*delivery {
	identities := make([]string, len(group))
	for i, d := range group {
		identities[i] = d.identity
	}
	known := make([]bool, len(group))
	begin := time.Now()
	lacks := p.seen.Lacks()
	err := p.seen.Lookup(context.Background(), identities, known)
	p.metrics.looked(time.Since(begin), err)
	fresh := group[:0]
	for i, d := range group {
		if known[i] && d.quarantined == "" {
			p.answer(d, p.answers.duplicate)
			continue
		}
		d.unasked = err != nil || lacks
		fresh = append(fresh, d)
	}
	return fresh
}

// withoutKept leaves to the keeper what lies in the journal or is on its way there: a repetition of it that goes to NATS
// directly would be stored beside it, where the stream has forgotten it when the journal is handed over.
func (p *Path) withoutKept(fresh []*delivery) []*delivery {
	now := time.Now()
	if p.Journal == nil || p.keeper.kept.isEmpty(now) {
		return fresh
	}
	return slices.DeleteFunc(fresh, func(d *delivery) bool {
		kept := p.keeper.kept.has(d.keptKey(), now)
		if kept {
			p.spill(d)
		}
		return kept
	})
}

// publish sends a group in one flush.
func (p *Path) publish(fresh []*delivery) {
	if len(fresh) == 0 {
		return
	}
	now := time.Now()
	messages := make([]*stream.Outgoing, len(fresh))
	for i, d := range fresh {
		d.published = now
		messages[i] = &d.Outgoing
	}
	p.hub.Publish(messages)
}
