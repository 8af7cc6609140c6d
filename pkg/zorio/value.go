package zorio

import (
	"database/sql"
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// What a value is not. It is a person's data, and stays out of errors, which are logged.
var (
	errNotText    = errors.New("is neither a string nor a number")
	errNotNumber  = errors.New("is not a number")
	errNotInteger = errors.New("is not a whole number")
	errNotTime    = errors.New("is not an ISO 8601 time")
)

// Text is a string or a number of JSON, as text; null and what is missing leave it as it was. Ids come as either. Valid
// says whether it was there, as for all values here.
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
		return errNotText
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
	if json.Unmarshal(value, &number) != nil {
		return errNotNumber
	}
	if number == nil {
		return nil
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

// Integer is a whole number of JSON; null and what is missing leave it as it was.
type Integer sql.NullInt64

// UnmarshalJSON implements [json.Unmarshaler].
func (n *Integer) UnmarshalJSON(value []byte) error {
	var number *int64
	if json.Unmarshal(value, &number) != nil {
		return errNotInteger
	}
	if number == nil {
		return nil
	}
	*n = Integer{Int64: *number, Valid: true}
	return nil
}

// Value is the column's value.
func (n Integer) Value() any {
	if !n.Valid {
		return nil
	}
	return n.Int64
}

// Time is an ISO 8601 time of JSON; null, "" and what is missing leave it as it was.
type Time struct{ time.Time }

// UnmarshalJSON implements [json.Unmarshaler].
func (t *Time) UnmarshalJSON(value []byte) error {
	var text *string
	if json.Unmarshal(value, &text) != nil {
		return errNotTime
	}
	if text == nil || *text == "" {
		return nil
	}
	parsed, err := time.Parse(time.RFC3339Nano, *text)
	if err != nil {
		return errNotTime
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

// Or is the time, or another one where there is none.
func (t Time) Or(other Time) Time {
	if t.IsZero() {
		return other
	}
	return t
}
