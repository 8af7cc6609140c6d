package rig

import (
	"cmp"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Collector is the OTLP receiver of the OpenTelemetry collector.
type Collector struct {
	*Process
	Address string
}

// Span is what it got.
type Span struct {
	Service, Name, Kind, Trace, ID, Parent, Error string
	Links                                         []string // traces
	Begin, End                                    int64    // Unix nanoseconds
	Attributes                                    map[string]any
}

// StartCollector starts one, of the version in tools/otlp/go.mod.
func StartCollector(t testing.TB) *Collector {
	t.Helper()
	program := build(t, filepath.Join(Root(t), "tools", "otlp"), "github.com/sluicehq/sluice/tools/otlp")
	c := &Collector{Address: Address(t)}
	c.Process = Start(t, program, []string{c.Address}, Environment())
	c.Listening(c.Address)
	return c
}

// URL is its OTEL_EXPORTER_OTLP_ENDPOINT.
func (c *Collector) URL() string { return "http://" + c.Address }

// Spans are all that it got.
func (c *Collector) Spans() (all []Span) {
	c.t.Helper()
	for line := range strings.Lines(c.Output()) {
		if !strings.HasPrefix(line, "{") || !strings.HasSuffix(line, "\n") {
			continue
		}
		var s Span
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			c.t.Fatalf("%v: %s", err, line)
		}
		all = append(all, s)
	}
	return all
}

// Tree shows a trace: a line a span, below the one that it is a part of, in the order in which they began. What say returns
// stands behind a name. A span whose parent is missing stands behind a question mark.
func Tree(spans []Span, trace string, say func(Span) string) string {
	ours := slices.DeleteFunc(slices.Clone(spans), func(s Span) bool { return s.Trace != trace })
	slices.SortStableFunc(ours, func(a, b Span) int { return cmp.Compare(a.Begin, b.Begin) })
	var text strings.Builder
	var below func(parent, indent string)
	below = func(parent, indent string) {
		for _, s := range ours {
			if s.Parent == parent {
				fmt.Fprintln(&text, strings.TrimRight(indent+s.Name+" "+say(s), " "))
				below(s.ID, indent+"  ")
			}
		}
	}
	below("", "")
	for _, s := range ours {
		if s.Parent != "" && !slices.ContainsFunc(ours, func(p Span) bool { return p.ID == s.Parent }) {
			fmt.Fprintln(&text, "? "+s.Name+" "+say(s))
		}
	}
	return text.String()
}
