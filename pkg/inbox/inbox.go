// Package inbox makes the effect of an event happen exactly once. It records that an event was processed in the same
// SQL transaction in which the handler writes: after a crash either both are stored, or neither.
//
// It works on SQLite, a file in the data folder, where nothing is installed, and on PostgreSQL.
package inbox

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
)

// Kept is how long the inbox remembers that an event was processed. Nothing is redelivered later: by default EVENTS
// keeps events for 7 days, and DEAD keeps dead letters for 30.
const Kept = 35 * 24 * time.Hour

const pruneEvery = time.Hour

// Settings say where a team's tables are.
type Settings struct {
	DatabaseURL string `env:"DATABASE_URL" secret:"url" file:"true" help:"postgres://user:password@host/database; unset: SQLite, a file in SLUICE_DATA"`
	Data        string `env:"SLUICE_DATA" envDefault:"./data" help:"folder of the SQLite file"`
}

// Inbox is a team's database. It is safe for concurrent use.
type Inbox struct {
	team   string
	db     *sql.DB
	commit func(ctx context.Context, f effect) error
	stop   context.CancelFunc
	done   sync.WaitGroup
}

// Open opens a team's database, and creates the tables of schema, which is run at every start and has to say IF NOT
// EXISTS. It must be understood by both databases: PostgreSQL's SQL in what SQLite shares with it, placeholders as $1.
// Several instances may open the same database at once. The errors name the setting to change.
func Open(ctx context.Context, team string, s Settings, schema ...string) (*Inbox, error) {
	db, err := s.open(team)
	if err != nil {
		return nil, err
	}
	i := &Inbox{team: team, db: db, commit: func(ctx context.Context, f effect) error { return transact(ctx, db, f) }}
	if s.DatabaseURL == "" {
		i.commit = (&groups{db: db, opens: groupFor}).do
	}
	if err := i.create(ctx, s, schema); err != nil {
		_ = db.Close()
		return nil, s.explain(err)
	}
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	i.stop = cancel
	i.done.Go(func() { i.prune(background) })
	return i, nil
}

const table = `CREATE TABLE IF NOT EXISTS sluice_inbox (
	team TEXT NOT NULL,
	identity TEXT NOT NULL,
	at TIMESTAMPTZ NOT NULL,
	PRIMARY KEY (team, identity)
)`

const byTime = `CREATE INDEX IF NOT EXISTS sluice_inbox_at ON sluice_inbox (at)`

func (i *Inbox) create(ctx context.Context, s Settings, schema []string) error {
	return i.Transaction(ctx, func(ctx context.Context, tx *sql.Tx) error {
		statements := append([]string{table, byTime}, schema...)
		if s.DatabaseURL != "" { // instances that start at once would create the same table
			statements = append([]string{`SELECT pg_advisory_xact_lock(7308621)`}, statements...)
		}
		for _, statement := range statements {
			if _, err := tx.ExecContext(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
}

// key is what is remembered of an event: its identity, and for a copy that was replayed the replay too, in which its
// effect happens anew. Neither has a space in it.
func key(e *event.Event) string {
	if e.Replay == "" {
		return e.Identity
	}
	return e.Identity + " " + e.Replay
}

// Once calls effect in a transaction, unless it was committed for this event before, and commits. On a nil return what
// effect wrote is committed, now or before, as durably as the database commits; on an error nothing of it is. Two
// copies of an event that come at once wait for each other. In a replay an effect happens once more. An event without
// an identity is an error: it could not be told from another.
//
// On SQLite effects that wait at the same time share a transaction, behind a savepoint each, and a commit. So an effect
// must leave the transaction open, and should be quick: beside others it has 250 ms, after which its context ends and it
// is called again, with its own time and a transaction of its own. It is called again too where a shared transaction is
// lost. What was written before is taken back.
func (i *Inbox) Once(ctx context.Context, e *event.Event, effect func(ctx context.Context, tx *sql.Tx) error) error {
	if e.Identity == "" {
		return fmt.Errorf("%s #%d has no identity to know it by: only what a gateway stores has one; for a test, workertest.NewEvent makes an event", e.Name, e.Sequence)
	}
	return i.commit(ctx, func(ctx context.Context, tx *sql.Tx) error {
		inserted, err := tx.ExecContext(ctx, `INSERT INTO sluice_inbox (team, identity, at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
			i.team, key(e), time.Now().UTC())
		if err != nil {
			return err
		}
		if fresh, err := inserted.RowsAffected(); err != nil || fresh == 0 {
			return err
		}
		return effect(ctx, tx)
	})
}

// Transaction commits what f wrote, or nothing of it when f returns an error or panics.
func (i *Inbox) Transaction(ctx context.Context, f func(ctx context.Context, tx *sql.Tx) error) error {
	return transact(ctx, i.db, f)
}

func transact(ctx context.Context, db *sql.DB, f effect) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // says only that it is committed, where it is
	if err := f(ctx, tx); err != nil {
		return err
	}
	return tx.Commit()
}

// DB is for reading.
func (i *Inbox) DB() *sql.DB { return i.db }

// Prune forgets the events that were handled before a time, and returns how many.
func (i *Inbox) Prune(ctx context.Context, before time.Time) (int64, error) {
	deleted, err := i.db.ExecContext(ctx, `DELETE FROM sluice_inbox WHERE team = $1 AND at < $2`, i.team, before.UTC())
	if err != nil {
		return 0, fmt.Errorf("prune the inbox: %w", err)
	}
	return deleted.RowsAffected()
}

// prune keeps the table small. A failure costs nothing but room, and passes with what caused it.
func (i *Inbox) prune(ctx context.Context) {
	tick := time.NewTicker(pruneEvery)
	defer tick.Stop()
	for {
		_, _ = i.Prune(ctx, time.Now().Add(-Kept))
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Close closes the database. Call it when no handler runs any more.
func (i *Inbox) Close() error {
	i.stop()
	i.done.Wait()
	return i.db.Close()
}
