package inbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// guest is an effect in a transaction that another one began and commits.
type guest struct {
	tx        *sql.Tx
	happened  chan error // sends nil, an error when nothing of it is left, or errLost
	committed chan bool
}

// errLost means that a transaction cannot be committed any more, whatever was in it.
var errLost = errors.New("the transaction is lost")

var errPanic = errors.New("the effect panicked")

// do has the effect happen and waits for the commit. It is not settled when the transaction is lost, or when it took too
// long for a guest.
func (g *guest) do(ctx context.Context, effect effect) (settled bool, err error) {
	short, cancel := context.WithTimeout(ctx, guestFor)
	defer cancel()
	if err = g.happen(short, effect); err == nil {
		return <-g.committed, nil
	}
	tooLong := short.Err() != nil && ctx.Err() == nil
	return !tooLong && !errors.Is(err, errLost), err
}

// happen runs the effect behind a savepoint, and tells the host how that went, after a panic too.
func (g *guest) happen(ctx context.Context, effect effect) (err error) {
	defer func() { g.happened <- err }()
	if err := g.tidy(ctx, "SAVEPOINT guest"); err != nil {
		return err
	}
	err = errPanic
	defer func() {
		var lost error
		if err != nil {
			lost = g.tidy(ctx, "ROLLBACK TO guest")
		}
		if lost = errors.Join(lost, g.tidy(ctx, "RELEASE guest")); lost != nil {
			err = lost
		}
	}()
	err = effect(ctx, g.tx)
	return err
}

const tidyWithin = 5 * time.Second

// tidy runs what keeps the transaction whole, and so does not end with the effect's context.
func (g *guest) tidy(ctx context.Context, statement string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyWithin)
	defer cancel()
	if _, err := g.tx.ExecContext(ctx, statement); err != nil {
		return fmt.Errorf("%w: %s: %w", errLost, statement, err)
	}
	return nil
}
