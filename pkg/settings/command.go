package settings

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/caarlos0/env/v11"

	"github.com/sluicehq/sluice/internal/socket"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

// Main is the whole of a daemon's main function: it answers --help, --version and --check, fills s, and runs run with
// a context that ends at the first SIGINT or SIGTERM; a second one ends the process at once. It does not return: the
// exit code is 0 after a graceful stop, 1 after an error, which is printed as one line, and 2 after a wrong argument.
func Main(binary, summary string, s any, run func(context.Context) error) {
	c := command{binary: binary, summary: summary, settings: s, out: os.Stdout, err: os.Stderr}
	if exit, done := c.answer(os.Args[1:]); done {
		os.Exit(exit)
	}
	if err := run(telemetry.StopContext()); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", binary, err)
		os.Exit(1)
	}
	os.Exit(0)
}

type command struct {
	binary, summary string
	settings        any
	out, err        io.Writer
}

// answer deals with the arguments and loads the settings; done means that there is nothing left to do.
func (c command) answer(args []string) (exit int, done bool) {
	if len(args) > 1 {
		return c.misused("takes one argument at most")
	}
	check := false
	for _, arg := range args {
		switch arg {
		case "--help", "-h", "-help", "help":
			c.help()
			return 0, true
		case "--version", "-version", "version":
			fmt.Fprintln(c.out, c.binary, telemetry.Version())
			return 0, true
		case "--check", "-check":
			check = true
		default:
			return c.misused("does not know " + arg)
		}
	}
	if err := Load(c.settings); err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			fmt.Fprintf(c.err, "%s: %s\n", c.binary, line)
		}
		return 1, true
	}
	lines, warnings := told(c.settings)
	if check {
		fmt.Fprint(c.out, Effective(c.settings), aligned(lines))
	}
	for _, warning := range slices.Concat(Unknown(c.settings), exposed(c.settings), warnings) {
		fmt.Fprintf(c.err, "%s: %s\n", c.binary, warning)
	}
	return 0, check
}

func (c command) misused(how string) (int, bool) {
	fmt.Fprintf(c.err, "%s %s: it is configured by its environment, see %s --help\n", c.binary, how, c.binary)
	return 2, true
}

func (c command) help() {
	fmt.Fprintf(c.out, "%s %s\n\nIt is configured by its environment:\n\n", c.binary, c.summary)
	for _, f := range fields(c.settings) {
		fmt.Fprintf(c.out, "  %s%s\n      %s%s\n", f.name, f.defaults(), f.tag.Get("help"), f.choices())
	}
	fmt.Fprintf(c.out, `
Arguments:

  --check    check the settings, print their effective values without secrets, and stop
  --version  print the version
  --help     print this
`)
}

// defaults says what holds where a setting is not set, and where else it may come from.
func (f field) defaults() string {
	var text strings.Builder
	if f.tag.Get("file") == "true" {
		text.WriteString(" or " + f.name + fileSuffix)
	}
	switch value := f.unset; {
	case f.tag.Get("required") == "true":
		text.WriteString(" (required)")
	case value != "":
		text.WriteString(" (default " + value + ")")
	}
	return text.String()
}

// choices are the values that are allowed, where there are few.
func (f field) choices() string {
	if f.tag.Get("oneof") == "" {
		return ""
	}
	return "; " + f.allowed()
}

// Teller is implemented by settings that have more to show than their fields, such as the content of a file. It is
// called after Check has returned nil.
type Teller interface {
	// Tell returns lines for --check, their parts separated by tabs and without secrets, and warnings, for every start.
	Tell() (lines, warnings []string)
}

func told(s any) (lines, warnings []string) {
	if teller, tells := s.(Teller); tells {
		return teller.Tell()
	}
	return nil, nil
}

// Effective is a block of one line a setting: its name and its value, without secrets.
func Effective(s any) string {
	var lines []string
	for _, f := range fields(s) {
		value := f.mask(f.text())
		if value == "" {
			value = "(not set)"
		}
		lines = append(lines, f.name+"\t"+value)
	}
	return aligned(lines)
}

// aligned puts the parts of lines, which tabs separate, below each other.
func aligned(lines []string) string {
	var block strings.Builder
	table := tabwriter.NewWriter(&block, 0, 0, 2, ' ', 0)
	for _, line := range lines {
		fmt.Fprintln(table, line)
	}
	_ = table.Flush() // a strings.Builder takes everything
	return block.String()
}

// exposed has a warning for each address that more than this machine may reach and that asks nobody who it is.
func exposed(s any) (warnings []string) {
	for _, f := range fields(s) {
		what, address := f.tag.Get("exposes"), f.text()
		if what == "" || socket.IsLocal(address) {
			continue
		}
		warnings = append(warnings, fmt.Sprintf("%s=%s can be reached from other machines, and gives everybody %s: use 127.0.0.1, or let only those through whom you trust", f.name, address, what))
	}
	return warnings
}

// Unknown returns a warning for each variable that looks like a setting of Sluice but is not one.
func Unknown(s any) []string { return unknown(s, env.ToMap(os.Environ())) }

func unknown(s any, environment map[string]string) (warnings []string) {
	known := strings.Fields(names)
	for _, f := range fields(s) {
		known = append(known, f.name)
		if f.tag.Get("file") == "true" {
			known = append(known, f.name+fileSuffix)
		}
	}
	for name := range environment {
		if !strings.HasPrefix(name, "SLUICE_") || slices.Contains(known, name) {
			continue
		}
		warning := name + " is set but is not a setting: unset it"
		if near := Nearest(name, known); near != "" {
			warning = name + " is set but is not a setting: did you mean " + near + "?"
		}
		warnings = append(warnings, warning)
	}
	slices.Sort(warnings)
	return warnings
}

// names are the settings of all of Sluice's binaries: an environment may be shared by all. `make docs` writes the file.
//
//go:embed names.txt
var names string

// Nearest returns the known name that differs by the fewest typing errors, at most two, or "".
func Nearest(name string, known []string) (near string) {
	best := 3
	for _, candidate := range known {
		if d := distance(name, candidate); d < best {
			best, near = d, candidate
		}
	}
	return near
}

// distance counts the insertions, deletions and replacements between two strings (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
