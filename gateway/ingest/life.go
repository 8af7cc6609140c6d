package ingest

import (
	"time"

	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/signature"
)

// New starts the path. It publishes through hub, which the caller closes after Close.
func New(c Config, keys *signature.Keys, memory Seen, hub *stream.Publisher, instruments *Instruments) *Path {
	p := &Path{
		Config: c, source: &c.Source, answers: newAnswers(c.Source.Answers), seen: memory, hub: hub,
		log: instruments.Log, refused: instruments.Refused, tracer: instruments.Tracer,
		gathered: newGathering(), keeper: newKeeper(), stopping: make(chan struct{}),
	}
	if p.Opened == nil {
		opened := make(chan struct{})
		close(opened)
		p.Opened = opened
	}
	p.bytes.most, p.bytes.large = c.MaxBytes, c.MaxBytes-c.MaxBytes/keptForSmall
	p.metrics = newMetrics(instruments.Registry, p)
	p.secrets.Store(p.metrics.secrets(keys))
	p.marks = newMarks(memory, p.metrics)
	p.copies = newCopies(c.MaxCopies)
	if c.BodyIdentity { // there the signature is what a delivery is recognised by
		p.copies = newCopies(0)
	}
	p.doubts = newDoubts(memory)
	p.sender = newSender(&p.Config, p.answers, instruments, time.Now())
	instruments.Registry.MustRegister(p.sender)
	p.done.Go(func() { p.sender.watch(p.stopping) })
	p.refusals = newRefusals(p.source, instruments.Keep)
	p.done.Go(p.commitGroups)
	p.done.Go(p.keepGroups)
	return p
}

// waitUntilOpen holds a delivery while the gateway starts: a start is short, and the sender's next attempt is not.
func (p *Path) waitUntilOpen(d *delivery) *answer {
	if p.Journal != nil || p.isOpen() {
		return nil
	}
	if p.Full != nil && p.Full() != nil {
		return p.refuse(p.answers.starting, "NATS has no room to start: see /readyz")
	}
	tooLong := time.NewTimer(time.Until(d.Deadline))
	defer tooLong.Stop()
	select {
	case <-p.Opened:
		return nil
	case <-p.stopping:
		return p.answers.stopping
	case <-tooLong.C:
		return p.refuse(p.answers.starting, "NATS cannot store yet: see /readyz")
	}
}

func (p *Path) isOpen() bool { return isClosed(p.Opened) }

func (p *Path) ends() bool { return isClosed(p.stopping) }

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Pulse returns how many deliveries wait for their answer, and how many were answered since the start.
func (p *Path) Pulse() (waiting int, answered uint64) { return p.gathered.pulse() }

// Leave makes each answer the last one on its connection: clients open another one, which may be to another gateway.
func (p *Path) Leave() { p.leaving.Store(true) }

// Stop lets nothing more in: new requests are refused with 503, and those in flight are answered as ever, which takes
// [Budget] at most.
func (p *Path) Stop() {
	close(p.stopping)
	for p.inside.Load() > 0 { // admit counts first and asks then: nobody enters unseen
		time.Sleep(time.Millisecond)
	}
	p.gathered.close()
	p.keeper.close()
	p.done.Wait()
}

// Close ends the path, after Stop. On return every mark is written, or has failed.
func (p *Path) Close() {
	p.doubts.close()
	p.marks.close()
	p.refusals.close()
}
