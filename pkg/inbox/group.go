package inbox

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"sync"
	"time"
)

// effect is what an event does in a transaction.
type effect = func(ctx context.Context, tx *sql.Tx) error

// groups let effects that wait at the same time share a transaction, because its commit is a sync of the disk, whatever
// is in it. The first of them leads: it begins the transaction, gives those that wait their turns in it, one after the
// other, and commits for all. Each of those has a savepoint, so that one that fails takes only itself back. Its methods
// are safe for concurrent use.
//
// This is for SQLite, which has one writer anyway. PostgreSQL syncs for several transactions at once by itself, and in a
// shared one it would hold the locks of many effects, in an order that nobody has chosen.
type groups struct {
	db *sql.DB

	opens   time.Duration // so long effects begin in one transaction
	mu      sync.Mutex
	led     bool // somebody leads
	waiting []*waiter
}

// Bounds of a group: whoever waits for its commit waits for the effects that share it.
const (
	groupMost = 256
	groupFor  = 20 * time.Millisecond  // no effect begins later
	guestFor  = 250 * time.Millisecond // an effect that takes longer is taken back, and happens in a transaction of its own
)

// waiter waits for its turn: as a guest in a transaction, or, when it is given nil, to lead.
type waiter struct {
	alone bool // it does not want to be a guest
	given chan *guest
}

// do has an effect happen. It may be called twice, when it was a guest in a transaction that is lost.
func (g *groups) do(ctx context.Context, effect effect) error {
	turn, err := g.turn(ctx, false)
	if err == nil && turn != nil {
		if settled, err := turn.do(ctx, effect); settled {
			return err
		}
		_, err = g.turn(ctx, true)
	}
	if err != nil {
		return err
	}
	defer g.passOn()
	return g.lead(ctx, effect)
}

// turn waits for one. Whoever gets nil leads.
func (g *groups) turn(ctx context.Context, alone bool) (*guest, error) {
	w := &waiter{alone: alone, given: make(chan *guest, 1)}
	if g.enter(w) {
		return nil, nil
	}
	select {
	case turn := <-w.given:
		return turn, nil
	case <-ctx.Done():
	}
	if g.leave(w) {
		return nil, ctx.Err()
	}
	return <-w.given, nil
}

// enter reports whether a waiter leads at once; if not, it waits behind the others.
func (g *groups) enter(w *waiter) (leads bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.led {
		g.led = true
		return true
	}
	g.waiting = append(g.waiting, w)
	return false
}

// leave reports whether a waiter had no turn yet, and will have none.
func (g *groups) leave(w *waiter) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	at := slices.Index(g.waiting, w)
	if at >= 0 {
		g.waiting = slices.Delete(g.waiting, at, at+1)
	}
	return at >= 0
}

// lead has an effect happen in a transaction of its own, with those that wait as guests. When it is lost with guests in
// it, nobody knows whose fault that is: each has its effect happen again, without the others.
func (g *groups) lead(ctx context.Context, effect effect) error {
	tx, err := g.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // says only that it is committed, where it is
	if err := effect(ctx, tx); err != nil {
		return err
	}
	guests, err := g.host(tx)
	if err == nil {
		err = tx.Commit()
	}
	for _, one := range guests {
		one.committed <- err == nil
	}
	if err == nil || len(guests) == 0 && !errors.Is(err, errLost) {
		return err
	}
	_ = tx.Rollback()
	return transact(ctx, g.db, effect)
}

// host gives those that wait their turns, and returns those whose effects are in the transaction. The error is errLost
// when that does not hold any more.
func (g *groups) host(tx *sql.Tx) (guests []*guest, err error) {
	for began := time.Now(); len(guests) < groupMost && time.Since(began) < g.opens; {
		one := g.invite(tx)
		if one == nil {
			break
		}
		switch err := <-one.happened; {
		case errors.Is(err, errLost):
			return guests, err
		case err == nil:
			guests = append(guests, one)
		}
	}
	return guests, nil
}

// invite gives the next waiter its turn; nil when there is none.
func (g *groups) invite(tx *sql.Tx) *guest {
	g.mu.Lock()
	defer g.mu.Unlock()
	at := slices.IndexFunc(g.waiting, func(w *waiter) bool { return !w.alone })
	if at < 0 {
		return nil
	}
	one := &guest{tx: tx, happened: make(chan error, 1), committed: make(chan bool, 1)}
	g.waiting[at].given <- one
	g.waiting = slices.Delete(g.waiting, at, at+1)
	return one
}

// passOn has the next waiter lead.
func (g *groups) passOn() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.led = len(g.waiting) > 0; g.led {
		g.waiting[0].given <- nil
		g.waiting = slices.Delete(g.waiting, 0, 1)
	}
}
