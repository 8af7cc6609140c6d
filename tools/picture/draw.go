package main

import (
	"fmt"
	"html"
	"strings"
)

// Sizes of the picture, in pixels.
const (
	column  = 48 // Grafana has 24
	line    = 26
	margin  = 20
	gap     = 5
	heading = 74
)

// style follows the reader's: light, or dark.
const style = `
text { font-family: system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #24292f }
.back { fill: #f6f8fa } .card { fill: #fff; stroke: #d0d7de }
.soft { fill: #57606a } .grid { stroke: #d8dee4 } .track { fill: #eaeef2 } .mark { stroke: #cf222e; stroke-dasharray: 2 3; opacity: .55 }
.green { fill: #1a7f37 } .orange { fill: #bc4c00 } .red { fill: #cf222e }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .back { fill: #0d1117 } .card { fill: #151b23; stroke: #30363d }
  .soft { fill: #9198a1 } .grid { stroke: #262c36 } .track { fill: #262c36 } .mark { stroke: #ff7b72 }
  .green { fill: #3fb950 } .orange { fill: #f0883e } .red { fill: #ff7b72 }
}
`

// palette has colors that differ from each other, for most eyes, on white and on black.
var palette = []string{"#4184e4", "#e0823d", "#2da44e", "#a475f9", "#d64f5c", "#2a9d9d", "#b8860b", "#8c6d5a", "#7d8590"}

// canvas is an SVG that is being written.
type canvas struct{ strings.Builder }

func (c *canvas) add(format string, args ...any) { fmt.Fprintf(c, format+"\n", args...) }

// text writes words; anchor is start, middle or end.
func (c *canvas) text(x, y float64, size int, class, anchor, words string) {
	c.add(`<text x="%.1f" y="%.1f" font-size="%d" class="%s" text-anchor="%s">%s</text>`, x, y, size, class, anchor, html.EscapeString(words))
}

// box is where something is drawn.
type box struct{ x, y, w, h float64 }

func (b box) inside(left, top, right, bottom float64) box {
	return box{b.x + left, b.y + top, b.w - left - right, b.h - top - bottom}
}

// draw draws the whole dashboard.
func draw(d *dashboard, of *prometheus, caption string) (string, error) {
	width, height := 2*margin+24*column, 0
	for _, p := range d.Panels {
		height = max(height, heading+(p.GridPos.Y+p.GridPos.H)*line+margin)
	}
	c := &canvas{}
	c.add(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="%s">`, width, height, width, height, html.EscapeString(d.Title+": "+d.Description))
	c.add(`<style>%s</style><rect width="%d" height="%d" rx="8" class="back"/>`, style, width, height)
	c.text(margin+gap, 40, 24, "", "start", d.Title)
	c.text(margin+gap, 62, 13, "soft", "start", caption)
	for i := range d.Panels {
		p := &d.Panels[i]
		at := box{float64(margin + p.GridPos.X*column), float64(heading + p.GridPos.Y*line), float64(p.GridPos.W * column), float64(p.GridPos.H * line)}
		if err := c.panel(p, at.inside(gap, gap, gap, gap), d, of); err != nil {
			return "", fmt.Errorf("%s: %w", p.Title, err)
		}
	}
	c.add("</svg>")
	return c.String(), nil
}

func (c *canvas) panel(p *panel, at box, d *dashboard, of *prometheus) error {
	if p.Type == "row" {
		c.text(at.x, at.y+15, 16, "", "start", p.Title)
		return nil
	}
	c.add(`<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="6" class="card"/>`, at.x, at.y, at.w, at.h)
	c.text(at.x+10, at.y+18, 12, "soft", "start", p.Title)
	within := at.inside(10, 26, 10, 8)
	switch p.Type {
	case "stat":
		return c.stat(p, within, of)
	case "timeseries":
		return c.lines(p, within, of, d.marks)
	case "bargauge":
		return c.bars(p, within)
	}
	return fmt.Errorf("panels of type %q cannot be drawn", p.Type)
}
