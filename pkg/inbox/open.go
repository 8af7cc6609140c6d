package inbox

import (
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver pgx
	"modernc.org/sqlite"               // the driver sqlite, without cgo

	"github.com/sluicehq/sluice/internal/mask"
)

// sqliteOptions make a commit survive a power cut, writers wait for each other instead of failing, and times sort as
// they are stored.
const sqliteOptions = "?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(10000)&_txlock=immediate&_time_format=sqlite"

const connections = 32 // to PostgreSQL, at most

func (s Settings) open(team string) (*sql.DB, error) {
	if s.DatabaseURL == "" {
		return s.openSQLite(team)
	}
	if err := s.Check(); err != nil {
		return nil, err
	}
	db, err := sql.Open("pgx", s.DatabaseURL)
	if err != nil {
		return nil, s.explain(err)
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// Check refuses what is no address of a database.
func (s Settings) Check() error {
	if s.DatabaseURL == "" {
		return nil
	}
	u, err := url.Parse(s.DatabaseURL)
	if err == nil && (u.Scheme == "postgres" || u.Scheme == "postgresql") {
		return nil
	}
	return fmt.Errorf("DATABASE_URL=%q is not the address of a PostgreSQL database: use postgres://user:password@host/database, or unset it to use SQLite in SLUICE_DATA", mask.Address(s.DatabaseURL))
}

func (s Settings) openSQLite(team string) (*sql.DB, error) {
	if err := os.MkdirAll(s.Data, 0o700); err != nil {
		return nil, s.explain(err)
	}
	path, err := filepath.Abs(filepath.Join(s.Data, team+".db"))
	if err != nil {
		return nil, err
	}
	connector, err := sqlite.NewConnector("file:" + (&url.URL{Path: path}).EscapedPath() + sqliteOptions)
	if err != nil {
		return nil, s.explain(err)
	}
	db := sql.OpenDB(keepsStatements{connector})
	db.SetMaxOpenConns(1) // SQLite has one writer; waiting for it here is fair, and cheaper than its busy loop
	return db, nil
}

// explain adds the remedy to what the database says.
func (s Settings) explain(err error) error {
	if s.DatabaseURL == "" {
		return fmt.Errorf("cannot open the database in %s: %w: set SLUICE_DATA to a folder that this user may write, or DATABASE_URL", s.Data, err)
	}
	text := mask.Text(strings.Join(strings.Fields(err.Error()), " "), s.DatabaseURL)
	return fmt.Errorf("cannot use the database %s: %s: start it, or correct DATABASE_URL; the user may need CREATE on its schema", mask.Address(s.DatabaseURL), text)
}
