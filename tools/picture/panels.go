package main

import (
	"fmt"
	"time"
)

// stat is the last value, large, above what it was before.
func (c *canvas) stat(p *panel, at box, of *prometheus) error {
	words, color := "–", "soft"
	if len(p.series) > 0 {
		points := p.series[0].points
		if last := points[len(points)-1]; of.to.Sub(last.at) <= 2*of.step() {
			var err error
			if words, err = format(last.value, p.FieldConfig.Defaults.Unit); err != nil {
				return err
			}
			color = p.FieldConfig.Defaults.colorOf(last.value)
		}
		s := scale{at: at.inside(0, at.h-16, 0, 0), of: of, most: highest(p.series[:1])}
		c.add(`<path d="%s" fill="none" stroke="%s" stroke-width="1.2" opacity=".6"/>`, s.path(points), palette[0])
	}
	c.text(at.x, at.y+26, 26, color, "start", words)
	return nil
}

// bars are the last values beside each other.
func (c *canvas) bars(p *panel, at box) error {
	const label = 0.5 // of the width
	each := at.h / float64(max(1, len(p.series)))
	for i, s := range p.series {
		value := s.points[len(s.points)-1].value
		words, err := format(value, p.FieldConfig.Defaults.Unit)
		if err != nil {
			return err
		}
		y, x, w := at.y+float64(i)*each+each/2, at.x+at.w*label, at.w*(1-label)-44
		c.text(at.x, y+4, 12, "", "start", s.name)
		c.add(`<rect x="%.1f" y="%.1f" width="%.1f" height="9" rx="4" class="track"/>`, x, y-4.5, w)
		c.add(`<rect x="%.1f" y="%.1f" width="%.1f" height="9" rx="4" class="%s"/>`, x, y-4.5, max(2, w*min(1, value)), p.FieldConfig.Defaults.colorOf(value))
		c.text(at.x+at.w, y+4, 12, "soft", "end", words)
	}
	return nil
}

// lines are values over time, with a legend below them.
func (c *canvas) lines(p *panel, at box, of *prometheus, marks []time.Time) error {
	legend := legendOf(p.series, at.w)
	drawn := p.series
	if p.FieldConfig.Defaults.Custom.Stacking.Mode == "normal" {
		drawn = stack(p.series)
	}
	s := scale{at: at.inside(46, 6, 2, 20+float64(len(legend))*16), of: of}
	if err := c.grid(&s, &p.FieldConfig.Defaults, highest(drawn)); err != nil {
		return err
	}
	c.clock(s, of)
	for _, m := range marks {
		c.add(`<path d="M%.1f %.1fv%.1f" class="mark"/>`, s.x(m), s.at.y, s.at.h)
	}
	for i := len(drawn) - 1; i >= 0; i-- {
		c.line(s, drawn[i].points, palette[i%len(palette)], p.FieldConfig.Defaults.Custom.FillOpacity/100)
	}
	if len(p.series) == 0 {
		c.text(s.at.x+s.at.w/2, s.at.y+s.at.h/2+4, 12, "soft", "middle", "nothing")
	}
	c.legend(legend, at)
	return nil
}

// grid writes round values beside the lines, and makes room for the highest.
func (c *canvas) grid(s *scale, f *field, highest float64) error {
	values := ticks(highest)
	if f.Max != nil {
		values = []float64{0, *f.Max / 4, *f.Max / 2, *f.Max * 3 / 4, *f.Max}
	}
	s.most = values[len(values)-1]
	for _, v := range values {
		words, err := format(v, f.Unit)
		if err != nil {
			return err
		}
		c.add(`<path d="M%.1f %.1fh%.1f" class="grid"/>`, s.at.x, s.y(v), s.at.w)
		c.text(s.at.x-6, s.y(v)+4, 11, "soft", "end", words)
	}
	return nil
}

func (c *canvas) line(s scale, points []point, color string, fill float64) {
	if fill > 0 {
		c.add(`<path d="%s" fill="%s" opacity="%.2f"/>`, s.area(points), color, fill)
	}
	c.add(`<path d="%s" fill="none" stroke="%s" stroke-width="1.6" stroke-linejoin="round"/>`, s.path(points), color)
}

// clock writes the minutes below the lines.
func (c *canvas) clock(s scale, of *prometheus) {
	minutes, anchor := int(of.to.Sub(of.from).Minutes()), "start"
	for m := 0; m <= minutes; m += max(1, (minutes+3)/4) {
		c.text(s.x(of.from.Add(time.Duration(m)*time.Minute)), s.at.y+s.at.h+14, 11, "soft", anchor, fmt.Sprintf("%d min", m))
		anchor = "middle"
	}
}
