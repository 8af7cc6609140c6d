package fold

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Effect is what an event that can be read writes.
type Effect func(ctx context.Context, tx *sql.Tx) error

// Keeper reads an event and says what it writes. An error says what is wrong with the event; a retry is useless. It is
// a [Missing] when the event says nothing about what the keeper keeps.
type Keeper func(Entry) (Effect, error)

// Missing is the field of data that would say which row an event is about.
type Missing string

// Error implements error.
func (field Missing) Error() string { return fmt.Sprintf(`"data" has no %q`, string(field)) }

// Row is what a table has of one thing.
type Row interface {
	Key() []string           // the values of its key columns
	Columns() map[string]any // the values of its other columns
}

// Table is an SQL table whose rows are made of events. It has text columns that are its key, those of the rows, and a
// text column events that keeps a row's [Newest].
type Table[R Row] struct {
	Name string
	Key  []string                // the key columns
	Of   func(Newest) (R, error) // makes the row of all that is known of it, or of one event
}

// Keep is a [Keeper]: it adds the event to its row, which is made if it is not there and is locked until the
// transaction ends.
func (t Table[R]) Keep(e Entry) (Effect, error) {
	row, err := t.Of(Newest{e.Kind: e})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, tx *sql.Tx) error {
		if err := t.add(ctx, tx, row.Key(), e); err != nil {
			return fmt.Errorf("a row of %s: %w", t.Name, err)
		}
		return nil
	}, nil
}

func (t Table[R]) add(ctx context.Context, tx *sql.Tx, key []string, e Entry) error {
	newest, err := t.lock(ctx, tx, key)
	if err != nil || !newest.Add(e) {
		return err
	}
	row, err := t.Of(newest)
	if err != nil {
		return err
	}
	return t.write(ctx, tx, key, row.Columns(), newest)
}

// lock makes the row if it is not there, locks it, and reads what it is made of.
func (t Table[R]) lock(ctx context.Context, tx *sql.Tx, key []string) (Newest, error) {
	var values arguments
	columns, places := strings.Join(t.Key, ", "), make([]string, len(key))
	for i, value := range key {
		places[i] = values.add(value)
	}
	// Without a change to the row PostgreSQL would neither return nor lock one that is there.
	statement := fmt.Sprintf(`INSERT INTO %[1]s (%[2]s, events) VALUES (%[3]s, '{}') ON CONFLICT (%[2]s) DO UPDATE SET %[4]s = excluded.%[4]s RETURNING events`,
		t.Name, columns, strings.Join(places, ", "), t.Key[0])
	var stored string
	if err := tx.QueryRowContext(ctx, statement, values...).Scan(&stored); err != nil {
		return nil, err
	}
	newest := Newest{}
	if err := json.Unmarshal([]byte(stored), &newest); err != nil {
		return nil, fmt.Errorf("column events of %v: %w", key, err)
	}
	return newest, nil
}

// write sets the columns of a row.
func (t Table[R]) write(ctx context.Context, tx *sql.Tx, key []string, columns map[string]any, newest Newest) error {
	events, err := json.Marshal(newest)
	if err != nil {
		return err
	}
	var values arguments
	set := []string{"events = " + values.add(string(events))}
	for _, column := range slices.Sorted(maps.Keys(columns)) {
		set = append(set, column+" = "+values.add(columns[column]))
	}
	where := make([]string, len(key))
	for i, value := range key {
		where[i] = t.Key[i] + " = " + values.add(value)
	}
	_, err = tx.ExecContext(ctx, fmt.Sprintf(`UPDATE %s SET %s WHERE %s`, t.Name, strings.Join(set, ", "), strings.Join(where, " AND ")), values...)
	return err
}

// arguments are the values of a statement.
type arguments []any

// add adds one and returns its place in the statement.
func (a *arguments) add(value any) string {
	*a = append(*a, value)
	return fmt.Sprint("$", len(*a))
}
