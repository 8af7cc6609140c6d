package main

import "fmt"

// entry is a name in a legend, and its place there. One without a color counts those that have no place.
type entry struct {
	name, color string
	x           float64
}

const (
	letter      = 6.1 // pixels of one, of 11 pixels' height, or so
	mostLegends = 2   // lines
)

// legendOf breaks the names into lines.
func legendOf(all []series, width float64) (lines [][]entry) {
	x := width + 1
	for i, s := range all {
		w := float64(len([]rune(s.name)))*letter + 24
		if x+w > width {
			if len(lines) == mostLegends {
				return more(lines, len(all)-i)
			}
			lines, x = append(lines, nil), 0
		}
		last := len(lines) - 1
		lines[last] = append(lines[last], entry{s.name, palette[i%len(palette)], x})
		x += w
	}
	return lines
}

// more gives the last place to a count.
func more(lines [][]entry, rest int) [][]entry {
	line := lines[len(lines)-1]
	line[len(line)-1] = entry{fmt.Sprintf("and %d more", rest+1), "", line[len(line)-1].x}
	return lines
}

func (c *canvas) legend(lines [][]entry, at box) {
	for i, line := range lines {
		y := at.y + at.h - float64(len(lines)-1-i)*16
		for _, e := range line {
			if e.color != "" {
				c.add(`<rect x="%.1f" y="%.1f" width="10" height="3" rx="1.5" fill="%s"/>`, at.x+e.x, y-5.5, e.color)
			}
			c.text(at.x+e.x+14, y-1, 11, "soft", "start", e.name)
		}
	}
}
