package inbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/sluicehq/sluice/pkg/event"
)

// ErrNoInbox means that the database of the settings has no inbox of this team.
var ErrNoInbox = errors.New("cannot find this team's inbox")

// Reader reads what a team has handled. It creates and writes nothing, and is safe for concurrent use.
type Reader struct {
	team string
	db   *sql.DB
}

// OpenReader opens a team's database for reading. The error is [ErrNoInbox] where the file, the server or the table is
// not there.
func OpenReader(ctx context.Context, team string, s Settings) (*Reader, error) {
	db, err := s.openToRead(team)
	if err != nil {
		return nil, err
	}
	r := &Reader{team: team, db: db}
	if _, err := r.handled(ctx, []string{""}); err != nil { // the only way to ask both databases for the table
		_ = db.Close()
		return nil, fmt.Errorf("%w: %w", ErrNoInbox, s.explain(err))
	}
	return r, nil
}

func (s Settings) openToRead(team string) (*sql.DB, error) {
	if s.DatabaseURL != "" {
		return s.open(team)
	}
	path, err := filepath.Abs(filepath.Join(s.Data, team+".db"))
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoInbox, err)
	}
	return sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?mode=ro&_pragma=busy_timeout(10000)")
}

// handledAtOnce bounds a question's placeholders: both databases take more.
const handledAtOnce = 500

// Handled reports which of these identities had their effect: of the events themselves, not of their replays.
func (r *Reader) Handled(ctx context.Context, identities []string) (map[string]bool, error) {
	all := map[string]bool{}
	for len(identities) > 0 {
		some := identities[:min(handledAtOnce, len(identities))]
		identities = identities[len(some):]
		found, err := r.handled(ctx, some)
		if err != nil {
			return nil, fmt.Errorf("read the inbox of %s: %w", r.team, err)
		}
		for _, identity := range found {
			all[identity] = true
		}
	}
	return all, nil
}

func (r *Reader) handled(ctx context.Context, identities []string) (found []string, err error) {
	arguments := []any{r.team}
	var places strings.Builder
	for i, identity := range identities {
		fmt.Fprintf(&places, ",$%d", i+2)
		arguments = append(arguments, identity)
	}
	rows, err := r.db.QueryContext(ctx, `SELECT identity FROM sluice_inbox WHERE team = $1 AND identity IN (`+places.String()[1:]+`)`, arguments...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var identity string
		if err := rows.Scan(&identity); err != nil {
			return nil, err
		}
		found = append(found, identity)
	}
	return found, rows.Err()
}

// Missing returns the events that had no effect yet, in their order.
func (r *Reader) Missing(ctx context.Context, events []*event.Event) (missing []*event.Event, err error) {
	identities := make([]string, len(events))
	for i, e := range events {
		identities[i] = e.Identity
	}
	handled, err := r.Handled(ctx, identities)
	for _, e := range events {
		if !handled[e.Identity] {
			missing = append(missing, e)
		}
	}
	return missing, err
}

// Close closes the database.
func (r *Reader) Close() error { return r.db.Close() }
