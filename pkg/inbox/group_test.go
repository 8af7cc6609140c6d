package inbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/pkg/event"
)

// party is an inbox on SQLite whose next transaction is open: whoever comes now waits to share one.
type party struct {
	*Inbox
	t     *testing.T
	group *groups
	begin chan struct{} // lets the transaction that is open end
	all   sync.WaitGroup
}

func newParty(t *testing.T) *party {
	t.Helper()
	p := &party{Inbox: open(t, Settings{Data: t.TempDir()}, "pbx"), t: t, begin: make(chan struct{})}
	p.group = &groups{db: p.db, opens: time.Minute}
	p.commit = p.group.do
	opened := make(chan struct{})
	open := sync.OnceFunc(func() { close(opened) })
	first := &event.Event{Identity: "first/0123"}
	p.all.Go(func() {
		err := p.Once(t.Context(), first, func(ctx context.Context, tx *sql.Tx) error {
			open()
			<-p.begin
			return write(first)(ctx, tx)
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-opened
	return p
}

// comes has the effect of an event wait behind what came before, and tells what became of it.
func (p *party) comes(ctx context.Context, name string, effect func(e *event.Event, ctx context.Context, tx *sql.Tx) error) (became <-chan error) {
	p.t.Helper()
	e, told, before := &event.Event{Identity: name + "/0123"}, make(chan error, 1), p.waitingNow()
	p.all.Go(func() {
		defer func() {
			if cause := recover(); cause != nil {
				told <- fmt.Errorf("panic: %v", cause)
			}
		}()
		told <- p.Once(ctx, e, func(ctx context.Context, tx *sql.Tx) error { return effect(e, ctx, tx) })
	})
	rig.Eventually(p.t, 10*time.Second, name+" waits", func() bool { return p.waitingNow() > before })
	return told
}

func (p *party) waitingNow() int {
	p.group.mu.Lock()
	defer p.group.mu.Unlock()
	return len(p.group.waiting)
}

// ends lets all of it happen, and expects so many effects.
func (p *party) ends(effects int) {
	p.t.Helper()
	close(p.begin)
	p.all.Wait()
	if n, known := count(p.t, p.Inbox, "effects"), count(p.t, p.Inbox, "sluice_inbox"); n != effects || known != effects {
		p.t.Errorf("%d effects of %d remembered events, want %d", n, known, effects)
	}
	if p.group.led {
		p.t.Error("somebody leads for ever")
	}
}

func writes(e *event.Event, ctx context.Context, tx *sql.Tx) error { return write(e)(ctx, tx) }

func (p *party) expect(became <-chan error, want error) {
	p.t.Helper()
	if err := <-became; !errors.Is(err, want) {
		p.t.Errorf("got %v, want %v", err, want)
	}
}

func TestEffectsThatWaitShareATransaction(t *testing.T) {
	t.Parallel()
	p := newParty(t)
	var of []*sql.Tx
	for n := range 20 {
		p.comes(t.Context(), fmt.Sprint(n), func(e *event.Event, ctx context.Context, tx *sql.Tx) error {
			of = append(of, tx) // one after the other
			return writes(e, ctx, tx)
		})
	}
	p.ends(21)
	for _, tx := range of {
		if len(of) != 20 || tx != of[0] {
			t.Fatalf("%d effects, and not all of them in one transaction", len(of))
		}
	}
}

func TestAnEffectThatFailsTakesOnlyItselfBack(t *testing.T) {
	t.Parallel()
	p, no := newParty(t), errors.New("no")
	before := p.comes(t.Context(), "before", writes)
	fails := p.comes(t.Context(), "fails", func(e *event.Event, ctx context.Context, tx *sql.Tx) error {
		return errors.Join(writes(e, ctx, tx), no)
	})
	broken := p.comes(t.Context(), "broken", func(_ *event.Event, ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO nowhere VALUES (1)`)
		return errors.Join(err, no)
	})
	panics := p.comes(t.Context(), "panics", func(e *event.Event, ctx context.Context, tx *sql.Tx) error {
		_ = writes(e, ctx, tx)
		panic("no")
	})
	after := p.comes(t.Context(), "after", writes)
	p.ends(3)
	p.expect(before, nil)
	p.expect(fails, no)
	p.expect(broken, no)
	p.expect(after, nil)
	if err := <-panics; err == nil || err.Error() != "panic: no" {
		t.Errorf("got %v", err)
	}
}

// What ends the transaction of all ends nobody's effect but its own.
func TestALostTransactionIsNobodyElsesFault(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(e *event.Event, ctx context.Context, tx *sql.Tx) error{
		"rolled back": func(_ *event.Event, _ context.Context, tx *sql.Tx) error {
			return errors.Join(tx.Rollback(), errors.New("no"))
		},
		"rolled back, and said to be well": func(_ *event.Event, _ context.Context, tx *sql.Tx) error { return tx.Rollback() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newParty(t)
			before := p.comes(t.Context(), "before", writes)
			loses := p.comes(t.Context(), "loses", func(e *event.Event, ctx context.Context, tx *sql.Tx) error {
				if e.Attempt++; e.Attempt == 1 {
					return lose(e, ctx, tx)
				}
				return writes(e, ctx, tx)
			})
			after := p.comes(t.Context(), "after", writes)
			p.ends(4)
			p.expect(before, nil)
			p.expect(loses, nil)
			p.expect(after, nil)
		})
	}
}

// An effect that takes long does not hold up those that share its transaction, and has its own time all the same.
func TestASlowEffectHappensByItself(t *testing.T) {
	t.Parallel()
	p := newParty(t)
	before := p.comes(t.Context(), "before", writes)
	slow := p.comes(t.Context(), "slow", func(e *event.Event, ctx context.Context, tx *sql.Tx) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(2 * guestFor):
			return writes(e, ctx, tx)
		}
	})
	p.ends(3)
	p.expect(before, nil)
	p.expect(slow, nil)
}

func TestWhoseTimeIsUpWaitsNoLonger(t *testing.T) {
	t.Parallel()
	p := newParty(t)
	ctx, cancel := context.WithCancel(t.Context())
	gone := p.comes(ctx, "gone", writes)
	cancel()
	p.expect(gone, context.Canceled)
	stays := p.comes(t.Context(), "stays", writes)
	p.ends(2)
	p.expect(stays, nil)
}

// The leader's own end, whatever it is, leaves nobody behind.
func TestALeaderThatFailsHandsOver(t *testing.T) {
	t.Parallel()
	p, no := newParty(t), errors.New("no")
	fails := p.comes(t.Context(), "fails", func(*event.Event, context.Context, *sql.Tx) error { return no })
	p.group.mu.Lock()
	p.group.waiting[0].alone = true
	p.group.mu.Unlock()
	after := p.comes(t.Context(), "after", writes)
	p.ends(2)
	p.expect(fails, no)
	p.expect(after, nil)
}
