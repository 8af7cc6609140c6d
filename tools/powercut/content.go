package main

import (
	"math"
	"math/rand/v2"
	"slices"
)

// page is what a disk writes as a whole.
const page = 4096

// content is that of a file: as its readers see it, as it is on the disk for sure, and the changes between the two.
type content struct {
	now, kept []byte
	changes   []change
}

// change is a write, or without data a new size.
type change struct {
	at   int
	off  int
	data []byte
	size int // of the file after it
}

func (c *content) change(new change) {
	c.now = new.to(c.now)
	c.changes = append(c.changes, new)
}

// to is the content after it.
func (c change) to(content []byte) []byte {
	content = sized(content, c.size)
	if len(c.data) > 0 {
		copy(content[c.off:], c.data)
	}
	return content
}

// sized is the content cut, or followed by zeros.
func sized(content []byte, size int) []byte {
	if size <= len(content) {
		return content[:size]
	}
	return append(content, make([]byte, size-len(content))...)
}

// keep makes durable what was changed until then.
func (c *content) keep(until int) {
	for len(c.changes) > 0 && c.changes[0].at <= until {
		c.kept = c.changes[0].to(c.kept)
		c.changes = c.changes[1:]
	}
}

// revert makes it what the disk holds: what was kept, and with luck nothing, some or all of what was not.
func (c *content) revert(luck *rand.Rand) {
	if luck != nil {
		switch luck.IntN(4) {
		case 0:
		case 1:
			c.keep(math.MaxInt)
		default:
			c.kept = torn(c.kept, c.changes, luck)
		}
	}
	c.now, c.changes = slices.Clone(c.kept), nil
}

// torn is what a disk may hold of changes that nobody waited for. The size is that of one moment. Each page is that of a
// moment of its own, so a later page may be there where an earlier one is not, zero if it is new. What was written after
// a file was cut shorter is not there without that cut: it went to other places of the disk.
func torn(content []byte, changes []change, luck *rand.Rand) []byte {
	sizes, share, moments := luck.IntN(len(changes)+1), luck.Float64(), map[int]int{}
	moment := func(page int) int {
		if _, known := moments[page]; !known {
			moments[page] = len(changes)
			if luck.Float64() > share {
				moments[page] = luck.IntN(len(changes) + 1)
			}
		}
		return moments[page]
	}
	before, size := len(content), len(content)
	for i, c := range changes {
		switch shorter := c.size < before; {
		case shorter && i >= sizes:
			return sized(content, size)
		case shorter:
			content = sized(content, min(len(content), c.size))
		}
		before = c.size
		if i < sizes {
			size = c.size
		}
		for off, data := range pages(c) {
			if i < moment(off/page) {
				content = change{off: off, data: data, size: max(len(content), off+len(data))}.to(content)
			}
		}
	}
	return sized(content, size)
}

// pages are the parts of a write that lie in one page each.
func pages(c change) func(yield func(off int, data []byte) bool) {
	return func(yield func(int, []byte) bool) {
		for off, data := c.off, c.data; len(data) > 0; {
			n := min(len(data), page-off%page)
			if !yield(off, data[:n]) {
				return
			}
			off, data = off+n, data[n:]
		}
	}
}
