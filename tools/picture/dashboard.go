package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
)

// dashboard is what is drawn of one of Grafana's.
type dashboard struct {
	Title, Description string
	Panels             []panel
	Annotations        struct{ List []struct{ Expr string } }

	marks []time.Time // when something began that the annotations look for
}

type panel struct {
	Title, Type string
	GridPos     struct{ X, Y, W, H int }
	Targets     []struct{ Expr, LegendFormat string }
	FieldConfig struct{ Defaults field }

	series []series
}

type field struct {
	Unit       string
	Max        *float64
	Thresholds struct{ Steps []step }
	Custom     struct {
		FillOpacity float64
		Stacking    struct{ Mode string }
	}
}

// step is a color from a value on; the first has none.
type step struct {
	Color string
	Value *float64
}

// series is one line of a panel.
type series struct {
	name   string
	points []point
}

func readDashboard(file string) (*dashboard, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	d := &dashboard{}
	return d, json.Unmarshal([]byte(strings.ReplaceAll(string(text), "$stack", ".*")), d)
}

// fill asks for everything that the dashboard shows.
func (d *dashboard) fill(from *prometheus) error {
	for i := range d.Panels {
		if err := d.Panels[i].fill(from); err != nil {
			return fmt.Errorf("%s: %w", d.Panels[i].Title, err)
		}
	}
	for _, a := range d.Annotations.List {
		results, err := from.query(a.Expr)
		if err != nil {
			return err
		}
		for _, r := range results {
			d.marks = append(d.marks, r.points[0].at)
		}
	}
	slices.SortFunc(d.marks, time.Time.Compare)
	d.marks = slices.Compact(d.marks)
	return nil
}

var placeholder = regexp.MustCompile(`{{\s*(\w+)\s*}}`)

func (p *panel) fill(from *prometheus) error {
	for _, target := range p.Targets {
		results, err := from.query(target.Expr)
		if err != nil {
			return err
		}
		for _, r := range results {
			name := placeholder.ReplaceAllStringFunc(target.LegendFormat, func(label string) string {
				return r.labels[placeholder.FindStringSubmatch(label)[1]]
			})
			p.series = append(p.series, series{name, r.points})
		}
	}
	return nil
}

// colorOf is the color of the last step that a value has reached.
func (f *field) colorOf(value float64) string {
	color := "green"
	for _, s := range f.Thresholds.Steps {
		if s.Value == nil || value >= *s.Value {
			color = s.Color
		}
	}
	return color
}
