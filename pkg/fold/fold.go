// Package fold builds a row from events that come in any order and any number of times.
//
// A row keeps, beside its columns, the newest event of each kind, and its columns are a function of these alone. The
// newest of a set is the same in whatever order the set is seen: so is the row.
package fold

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Entry is the newest event of a kind.
type Entry struct {
	Kind string          `json:"-"`
	At   time.Time       `json:"at"` // the event's own time, as its sender set it
	Data json.RawMessage `json:"data"`
}

// Newest holds the newest event of each kind.
type Newest map[string]Entry

// Add keeps an entry if it is newer than the one of its kind, and reports whether it is. Of two at the same time the
// one with the greater bytes is newer: any rule does that does not depend on the order they came in.
func (n Newest) Add(e Entry) bool {
	have, known := n[e.Kind]
	if order := e.At.Compare(have.At); known && (order < 0 || order == 0 && bytes.Compare(e.Data, have.Data) <= 0) {
		return false
	}
	n[e.Kind] = e
	return true
}

// InOrder returns the entries from the oldest to the newest; those of the same time in the order of kinds, where a kind
// that is not among them is left out.
func (n Newest) InOrder(kinds ...string) []Entry {
	entries := make([]Entry, 0, len(n))
	for _, kind := range kinds {
		if e, known := n[kind]; known {
			e.Kind = kind
			entries = append(entries, e)
		}
	}
	slices.SortStableFunc(entries, func(a, b Entry) int { return a.At.Compare(b.At) })
	return entries
}

// Table is an SQL table with a text column that is its key, and a text column events that keeps a row's [Newest].
type Table struct{ Name, Key string }

// Add adds an entry to a row, which is made if it is not there and is locked until tx ends, and calls write with all
// that the row now knows. write sets the row's columns; it is not called when the entry changes nothing.
func (t Table) Add(ctx context.Context, tx *sql.Tx, id string, e Entry, write func(Newest) error) error {
	var stored string
	// Without a change to the row PostgreSQL would neither return nor lock one that is there.
	lock := fmt.Sprintf(`INSERT INTO %[1]s (%[2]s, events) VALUES ($1, '{}') ON CONFLICT (%[2]s) DO UPDATE SET %[2]s = excluded.%[2]s RETURNING events`, t.Name, t.Key)
	if err := tx.QueryRowContext(ctx, lock, id).Scan(&stored); err != nil {
		return fmt.Errorf("lock a row of %s: %w", t.Name, err)
	}
	newest := Newest{}
	if err := json.Unmarshal([]byte(stored), &newest); err != nil {
		return fmt.Errorf("column events of %s %s: %w", t.Name, id, err)
	}
	if !newest.Add(e) {
		return nil
	}
	text, err := json.Marshal(newest)
	if err != nil {
		return err
	}
	keep := fmt.Sprintf(`UPDATE %s SET events = $2 WHERE %s = $1`, t.Name, t.Key)
	if _, err := tx.ExecContext(ctx, keep, id, string(text)); err != nil {
		return fmt.Errorf("write a row of %s: %w", t.Name, err)
	}
	return write(newest)
}

// Overlay decodes the entries' data into row one after the other: what a later one does not have stays as an earlier
// one said, and so does what it has as null.
func Overlay(row any, entries []Entry) error {
	for _, e := range entries {
		if err := json.Unmarshal(e.Data, row); err != nil {
			return err
		}
	}
	return nil
}

// Text is a string or a number of JSON, as text; null and what is missing leave it as it was. Ids come as either.
type Text sql.NullString

// UnmarshalJSON implements [json.Unmarshaler].
func (t *Text) UnmarshalJSON(value []byte) error {
	switch value[0] {
	case 'n':
		return nil
	case '"':
		var text string
		if err := json.Unmarshal(value, &text); err != nil {
			return err
		}
		*t = Text{String: strings.ReplaceAll(text, "\x00", "�"), Valid: true} // PostgreSQL has no NUL in texts
		return nil
	case '{', '[', 't', 'f':
		return fmt.Errorf("%.40s is neither a string nor a number", value)
	}
	*t = Text{String: string(value), Valid: true}
	return nil
}

// Value is the column's value.
func (t Text) Value() any {
	if !t.Valid {
		return nil
	}
	return t.String
}

// Number is a number of JSON; null and what is missing leave it as it was.
type Number sql.NullFloat64

// UnmarshalJSON implements [json.Unmarshaler].
func (n *Number) UnmarshalJSON(value []byte) error {
	var number *float64
	if err := json.Unmarshal(value, &number); err != nil || number == nil {
		return err
	}
	*n = Number{Float64: *number, Valid: true}
	return nil
}

// Value is the column's value.
func (n Number) Value() any {
	if !n.Valid {
		return nil
	}
	return n.Float64
}

// Time is an ISO 8601 time of JSON; null, "" and what is missing leave it as it was.
type Time struct{ time.Time }

// UnmarshalJSON implements [json.Unmarshaler].
func (t *Time) UnmarshalJSON(value []byte) error {
	var text *string
	if err := json.Unmarshal(value, &text); err != nil || text == nil || *text == "" {
		return err
	}
	parsed, err := time.Parse(time.RFC3339Nano, *text)
	if err != nil {
		return err
	}
	t.Time = parsed.UTC()
	return nil
}

// Value is the column's value.
func (t Time) Value() any {
	if t.IsZero() {
		return nil
	}
	return t.Time
}
