package inbox

import (
	"context"
	"database/sql/driver"
)

// keepsStatements opens connections to SQLite that keep the statements they have compiled: an effect runs the same few
// again and again, and compiling one costs more than running it.
type keepsStatements struct{ driver.Connector }

// Connect implements [driver.Connector].
func (k keepsStatements) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := k.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &statements{sqliteConn: c.(sqliteConn), idle: map[string]driver.Stmt{}}, nil
}

// sqliteConn is what the driver's connections can, but for running statements at once: without that, [database/sql] asks
// for a statement each time.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// statements is a connection with the statements that nobody uses now. Like any, it is one goroutine's at a time.
type statements struct {
	sqliteConn
	idle map[string]driver.Stmt // by their text
}

const mostStatements = 64

// PrepareContext implements [driver.ConnPrepareContext].
func (s *statements) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	if kept, ok := s.idle[query]; ok {
		delete(s.idle, query) // two at the same time would share their rows
		return kept, nil
	}
	made, err := s.sqliteConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return &statement{sqliteStmt: made.(sqliteStmt), query: query, of: s}, nil
}

// Prepare implements [driver.Conn].
func (s *statements) Prepare(query string) (driver.Stmt, error) {
	return s.PrepareContext(context.Background(), query)
}

// Close implements [driver.Conn].
func (s *statements) Close() error {
	for _, kept := range s.idle {
		_ = kept.(*statement).sqliteStmt.Close() // goes with the connection
	}
	return s.sqliteConn.Close()
}

type sqliteStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// statement is kept when it is closed.
type statement struct {
	sqliteStmt
	query string
	of    *statements
}

// Close implements [driver.Stmt].
func (s *statement) Close() error {
	if _, another := s.of.idle[s.query]; another || len(s.of.idle) >= mostStatements {
		return s.sqliteStmt.Close()
	}
	s.of.idle[s.query] = s
	return nil
}
