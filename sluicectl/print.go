package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sluicehq/sluice/internal/harmless"
	"github.com/sluicehq/sluice/pkg/event"
)

// table prints rows under their headings, in columns.
func table(out io.Writer, headings []string, rows [][]any) {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, strings.Join(headings, "\t"))
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			if cells[i] = printable(fmt.Sprint(cell)); cells[i] == "" {
				cells[i] = "-"
			}
		}
		fmt.Fprintln(t, strings.Join(cells, "\t"))
	}
	_ = t.Flush() // what cannot be printed cannot be told either
}

// fields prints names and values, one a line, indented.
func fields(out io.Writer, pairs ...any) {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for i := 0; i < len(pairs); i += 2 {
		if value := printable(fmt.Sprint(pairs[i+1])); value != "" {
			fmt.Fprintf(t, "  %s\t%s\n", pairs[i], value)
		}
	}
	_ = t.Flush()
}

// object prints JSON for programs.
func object(out io.Writer, v any) error {
	e := encoder(out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// empty ends a list that has no entries with why, for programs and people alike. A program gets an empty list as well,
// unless what it named does not exist.
func (s *session) empty(why error) error {
	if s.json() && !isUnknown(why) {
		if err := object(s.out, []any{}); err != nil {
			return err
		}
	}
	return why
}

// encoder writes JSON that does nothing to a terminal.
func encoder(out io.Writer) *json.Encoder {
	e := json.NewEncoder(harmless.JSON{Out: out})
	e.SetEscapeHTML(false)
	return e
}

// cut is the beginning of a text that a stranger may have made long.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return text[:most] + "…"
}

// clock is a time for people, where they are, with the zone.
func clock(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05 MST")
}

// age is how long ago something was, for people.
func age(t time.Time) string {
	d := time.Since(t)
	switch {
	case d < time.Minute:
		return d.Round(time.Second).String()
	case d < 48*time.Hour:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// printable is a text that does nothing to a terminal: what is not a letter, a sign or a space stands escaped.
func printable(text string) string {
	var safe strings.Builder
	for _, r := range text {
		if unicode.IsPrint(r) && r != utf8.RuneError {
			safe.WriteRune(r)
			continue
		}
		fmt.Fprintf(&safe, "\\x%02x", r)
	}
	return safe.String()
}

// printHeaders prints the headers that are the sender's or the event's, sorted; skip are those that stand elsewhere.
func printHeaders(out io.Writer, header map[string][]string, skip ...string) {
	for _, name := range slices.Sorted(maps.Keys(header)) {
		if slices.Contains(skip, name) {
			continue
		}
		for _, value := range header[name] {
			fmt.Fprintf(out, "  %s: %s\n", printable(name), printable(value))
		}
	}
}

// printBody prints JSON with indents, other text as it is, and bytes as a dump, none of it with control characters.
func printBody(out io.Writer, body []byte) {
	var pretty bytes.Buffer
	switch {
	case json.Indent(&pretty, body, "", "  ") == nil:
		body = pretty.Bytes()
	case !utf8.Valid(body) || bytes.IndexByte(body, 0) >= 0:
		body = []byte(hex.Dump(body))
	}
	for line := range strings.Lines(string(body)) {
		fmt.Fprintln(out, " ", printable(strings.TrimRight(line, "\n")))
	}
}

// printFailures prints one line an attempt.
func printFailures(out io.Writer, indent string, failures []event.Failure) {
	for _, f := range failures {
		fmt.Fprintf(out, "%s%s  %s\n", indent, clock(f.At), printable(f.Error))
	}
}

// oneOf names what there is to choose from.
func oneOf(names []string) string {
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}
