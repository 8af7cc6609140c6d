package sluice

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	// made is a part of a page that the code writes: its marker, and the table that follows it. Below that of an event is a
	// line about it, and its sample.
	made      = regexp.MustCompile("<!-- (?:settings of [a-z, ]+|metrics|licences|event [a-z_.]+) -->\n(?:\n(?:\\|.*\n)+)?(?:\nIn Go .*\n\n```json\n(?s:.*?)\n```\n)?")
	described = regexp.MustCompile(`(?m)^  ([A-Z][A-Z_]+)(?: or ([A-Z_]+))?(?: \((required)\))?(?: \(default (.*)\))?\n      (.*)$`)
	declared  = regexp.MustCompile(`"(sluice_[a-z_]+)"[^"]*"([^"]*)"(?:[^\n]*\[\]string\{([^}\n]*)\}|, ("[a-z", ]+")\))?`)
)

// table is what stands behind a marker.
func table(t *testing.T, what string) string {
	if name, event := strings.CutPrefix(what, "event "); event {
		return eventTable(t, name)
	}
	if what == "licences" {
		return modules(t, "table")
	}
	names, settings := strings.CutPrefix(what, "settings of ")
	if !settings {
		return metricsTable(t)
	}
	var first string
	for i, name := range strings.Split(names, ", ") {
		rows := settingsTable(t, name)
		if i == 0 {
			first = rows
		} else if rows != first {
			t.Errorf("%s has other settings than %s, and needs a table of its own", name, names)
		}
	}
	return first
}

// settingsTable says what --help says.
func settingsTable(t *testing.T, binary string) string {
	pkg := "./consumer/" + binary
	if binary == "gateway" || binary == "console" {
		pkg = "./" + binary
	}
	rows := "| setting | default | |\n|---|---|---|\n"
	all := described.FindAllStringSubmatch(help(t, pkg), -1)
	if len(all) != len(setting.FindAllString(help(t, pkg), -1)) {
		t.Errorf("%s --help has settings that are not understood here", binary)
	}
	for _, s := range all {
		name, value := "`"+s[1]+"`", s[3]
		if s[2] != "" {
			name += ", `" + s[2] + "`"
		}
		if s[4] != "" {
			value = "`" + s[4] + "`"
		}
		rows += fmt.Sprintf("| %s | %s | %s |\n", name, value, s[5])
	}
	return rows
}

type metricRow struct{ name, of, labels, help string }

// metrics are those that the code declares.
func metrics(t *testing.T) (all []metricRow) {
	t.Helper()
	for file, text := range sources(t, ".go") {
		of := metricsOf(file)
		if of == "" || strings.HasSuffix(file, "_test.go") {
			continue
		}
		for _, m := range declared.FindAllStringSubmatch(text, -1) {
			labels := strings.ReplaceAll(cmp.Or(m[3], m[4]), `"`, "`")
			if of == "consumers" {
				labels = strings.TrimSuffix("`team`, "+labels, ", ")
			}
			all = append(all, metricRow{m[1], of, labels, m[2]})
		}
	}
	slices.SortFunc(all, func(a, b metricRow) int { return cmp.Or(cmp.Compare(a.of, b.of), cmp.Compare(a.name, b.name)) })
	return all
}

// metricsOf is who shows the metrics that a file declares.
func metricsOf(file string) string {
	switch dir := path.Dir(file); {
	case strings.HasPrefix(dir, "gateway"):
		return "gateway"
	case strings.HasPrefix(dir, "consumer/"):
		return strings.Split(dir, "/")[1]
	case strings.HasPrefix(dir, "pkg/worker"):
		return "consumers"
	case strings.HasPrefix(dir, "pkg/"), strings.HasPrefix(dir, "internal/"):
		return "all"
	}
	return ""
}

func metricsTable(t *testing.T) string {
	rows := "| metric | of | labels | |\n|---|---|---|---|\n"
	for _, m := range metrics(t) {
		rows += fmt.Sprintf("| `%s` | %s | %s | %s |\n", m.name, m.of, m.labels, m.help)
	}
	return rows
}
