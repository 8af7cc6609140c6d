package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// scale is where values of a time are in a box.
type scale struct {
	at   box
	of   *prometheus
	most float64
}

func (s *scale) x(at time.Time) float64 {
	return s.at.x + s.at.w*at.Sub(s.of.from).Seconds()/s.of.to.Sub(s.of.from).Seconds()
}

func (s *scale) y(value float64) float64 {
	if s.most <= 0 {
		return s.at.y + s.at.h
	}
	return s.at.y + s.at.h*(1-min(1, max(0, value/s.most)))
}

// runs are the parts of a line without a gap.
func (s *scale) runs(points []point) (all [][]point) {
	for i, p := range points {
		if i == 0 || p.at.Sub(points[i-1].at) > s.of.step()*3/2 {
			all = append(all, nil)
		}
		all[len(all)-1] = append(all[len(all)-1], p)
	}
	return all
}

// path goes through the points of a line.
func (s *scale) path(points []point) string {
	var path strings.Builder
	for _, run := range s.runs(points) {
		s.trace(&path, run, "M")
		if len(run) == 1 {
			path.WriteString("h1.5")
		}
	}
	return path.String()
}

// trace leaves out the points in which a line stays as high as it was: most of them, and most of the file.
func (s *scale) trace(path *strings.Builder, run []point, command string) {
	for i, p := range run {
		if 0 < i && i < len(run)-1 && s.level(run[i-1]) == s.level(p) && s.level(p) == s.level(run[i+1]) {
			continue
		}
		fmt.Fprintf(path, "%s%.0f %s", command, s.x(p.at), s.level(p))
		command = "L"
	}
}

func (s *scale) level(p point) string { return fmt.Sprintf("%.1f", s.y(p.value)) }

// area is what lies between a line and what it stands on.
func (s *scale) area(points []point) string {
	var path strings.Builder
	for _, run := range s.runs(points) {
		s.trace(&path, run, "M")
		floor := make([]point, 0, len(run))
		for _, p := range slices.Backward(run) {
			floor = append(floor, point{at: p.at, value: p.base})
		}
		s.trace(&path, floor, "L")
		path.WriteByte('Z')
	}
	return path.String()
}

func highest(all []series) (most float64) {
	for _, s := range all {
		for _, p := range s.points {
			most = max(most, p.value)
		}
	}
	return most
}

// stack puts each series on those before it.
func stack(all []series) []series {
	sum, on := map[time.Time]float64{}, make([]series, len(all))
	for i, s := range all {
		on[i].name = s.name
		for _, p := range s.points {
			base := sum[p.at]
			sum[p.at] += p.value
			on[i].points = append(on[i].points, point{p.at, sum[p.at], base})
		}
	}
	return on
}
