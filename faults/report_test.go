package faults

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
)

const head = "| fault | events/s | lost | stored twice | longest run of failures | p99 (before) | slowest (before) | notes | must hold | held? |\n|---|---|---|---|---|---|---|---|---|---|\n"

// markdown is the table with what was measured.
func markdown(results []*result) string {
	text := head
	for _, r := range results {
		text += r.row() + "\n"
	}
	return text
}

func (r *result) row() string {
	if !r.done {
		return fmt.Sprintf("%s | | | | | not measured | %s | |", r.key(), r.must)
	}
	return fmt.Sprintf("%s %d | %d | %d | %s (%s) | %s (%s) | %s | %s | %s |", r.key(), r.lost, r.twice, r.run,
		short(r.p99), short(r.before.p99), short(r.slowest), short(r.before.slowest), strings.Join(r.notes, "; "), r.must, r.held())
}

// key is how its row begins.
func (r *result) key() string { return fmt.Sprintf("| %s | %d |", r.title(), r.rate) }

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

// writeDocs puts what was measured where people read it. What was not measured now stays.
func writeDocs(t *testing.T, results []*result) {
	page := filepath.Join(rig.Root(t), "docs", "faults.md")
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	table := head
	for _, r := range everywhere(results) {
		if old := regexp.MustCompile("(?m)^" + regexp.QuoteMeta(r.key()) + ".*$").Find(text); !r.done && old != nil {
			table += string(old) + "\n"
		} else {
			table += r.row() + "\n"
		}
	}
	written := fmt.Sprintf("${1}\n%s, %d processors shared by everything: sender, gateway, NATS and Redis.\n\n%s\n${2}",
		time.Now().Format("January 2006"), runtime.NumCPU(), strings.ReplaceAll(table, "$", "$$"))
	if err := os.WriteFile(page, measured.ReplaceAll(text, []byte(written)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// everywhere are the results of every fault at the rates of the documentation.
func everywhere(results []*result) (all []*result) {
	for _, rate := range []int{200, 2000} {
		for _, f := range table {
			r := &result{fault: f, rate: rate}
			if i := slices.IndexFunc(results, func(other *result) bool { return other.key() == r.key() }); i >= 0 {
				r = results[i]
			}
			all = append(all, r)
		}
	}
	return all
}
