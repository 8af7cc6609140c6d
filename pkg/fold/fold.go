// Package fold builds a row from events that come in any order and any number of times.
//
// A row keeps, beside its columns, the newest event of each kind, and its columns are a function of these alone. The
// newest of a set is the same in whatever order the set is seen: so is the row.
package fold

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/zorio"
)

// Entry is what a row keeps of an event.
type Entry struct {
	Kind     string          `json:"-"`                // the event's name
	Delivery string          `json:"-"`                // its delivery id
	At       time.Time       `json:"at"`               // the event's own time, as its sender set it
	Tenant   string          `json:"tenant,omitempty"` // whose it is, where its sender says so
	Data     json.RawMessage `json:"data"`
}

// Newest holds the newest event of each kind.
type Newest map[string]Entry

// Add keeps an entry if it is newer than the one of its kind, and reports whether it is. Of two at the same time the
// one with the greater bytes is newer: any rule does that does not depend on the order they came in.
func (n Newest) Add(e Entry) bool {
	have, known := n[e.Kind]
	order := cmp.Or(e.At.Compare(have.At), bytes.Compare(e.Data, have.Data), strings.Compare(e.Tenant, have.Tenant))
	if known && order <= 0 {
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

// First returns the time of the oldest of the entries of these kinds; the zero time where there is none.
func (n Newest) First(kinds ...string) (at zorio.Time) {
	if entries := n.InOrder(kinds...); len(entries) > 0 {
		at.Time = entries[0].At
	}
	return at
}

// Tenant is whose the entries are: what the last one that says so says.
func Tenant(entries []Entry) (tenant string) {
	for _, e := range entries {
		tenant = cmp.Or(e.Tenant, tenant)
	}
	return tenant
}

// Overlay decodes the entries' data into row one after the other: what a later one does not have stays as an earlier
// one said, and so does what it has as null.
func Overlay(row any, entries []Entry) error {
	for _, e := range entries {
		if err := zorio.Decode(e.Data, row); err != nil {
			return err
		}
	}
	return nil
}
