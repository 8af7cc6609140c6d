package faults

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
)

// markdown is the table with what was measured.
func markdown(results []*result) string {
	var b strings.Builder
	fmt.Fprintln(&b, "| fault | events/s | lost | stored twice | longest run of failures | p99 (before) | slowest (before) | notes | must hold | held? |")
	fmt.Fprintln(&b, "|---|---|---|---|---|---|---|---|---|---|")
	for _, r := range results {
		fmt.Fprintln(&b, r.row())
	}
	return b.String()
}

func (r *result) row() string {
	if !r.done {
		return fmt.Sprintf("| %s | %d | | | | | | not measured | %s | |", r.title(), r.rate, r.must)
	}
	return fmt.Sprintf("| %s | %d | %d | %d | %d | %s (%s) | %s (%s) | %s | %s | %s |", r.title(), r.rate, r.lost, r.twice, r.run,
		short(r.p99), short(r.before.p99), short(r.slowest), short(r.before.slowest), strings.Join(r.notes, "; "), r.must, r.held())
}

func (r *result) title() string {
	if d := r.lasting(); d > 0 {
		return fmt.Sprintf("%s, %s", r.name, strings.Replace(d.String(), "m0s", "m", 1))
	}
	return r.name
}

func (r *result) held() string { return cmp.Or(strings.Join(r.broken, "; "), "yes") }

func (m must) String() string {
	text := fmt.Sprintf("at most %d in a row", m.run)
	if m.run < 0 {
		text = "–"
	}
	if m.refused != "" {
		text = "else " + m.refused
	}
	if m.p99 > 0 {
		text += ", p99 ≤ " + short(m.p99)
	}
	if m.slowest > 0 {
		text += ", each ≤ " + short(m.slowest)
	}
	return text
}

func short(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

var measured = regexp.MustCompile(`(?s)(<!-- measured -->\n).*(<!-- end -->)`)

// writeDocs puts the table where people read it.
func writeDocs(t *testing.T, report string) {
	page := filepath.Join(rig.Root(t), "docs", "faults.md")
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	written := fmt.Sprintf("${1}\n%s, %d processors shared by everything: sender, gateway, NATS and Redis.\n\n%s\n${2}",
		time.Now().Format("January 2006"), runtime.NumCPU(), strings.ReplaceAll(report, "$", "$$"))
	if err := os.WriteFile(page, measured.ReplaceAll(text, []byte(written)), 0o600); err != nil {
		t.Fatal(err)
	}
}
