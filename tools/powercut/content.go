package main

import (
	"iter"
	"math"
	"math/rand/v2"
	"slices"
)

// page is what a disk writes as a whole.
const page = 4096

// content is that of a file, in pages; nil is one of zeros. Pages are never changed, so that copies share them.
type content struct {
	size  int
	pages []*[page]byte
}

func (c content) clone() content { return content{c.size, slices.Clone(c.pages)} }

// resize cuts it, or adds zeros.
func (c *content) resize(size int) {
	if size < c.size && size%page > 0 {
		c.put(size, make([]byte, page-size%page)) // what is cut off never comes back
	}
	count := (size + page - 1) / page
	c.pages = append(c.pages[:min(count, len(c.pages))], make([]*[page]byte, max(0, count-len(c.pages)))...)
	c.size = size
}

// put writes into its pages.
func (c *content) put(off int, data []byte) {
	for off, part := range parts(off, data) {
		changed := new([page]byte)
		if old := c.pages[off/page]; old != nil {
			*changed = *old
		}
		copy(changed[off%page:], part)
		c.pages[off/page] = changed
	}
}

// read copies from it, and returns how much there was.
func (c *content) read(into []byte, off int) (n int) {
	into = into[:max(0, min(len(into), c.size-off))]
	for off, part := range parts(off, into) {
		clear(part)
		if p := c.pages[off/page]; p != nil {
			copy(part, p[off%page:])
		}
	}
	return len(into)
}

// parts are the parts of data that lie in one page each.
func parts(off int, data []byte) iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		for len(data) > 0 {
			n := min(len(data), page-off%page)
			if !yield(off, data[:n]) {
				return
			}
			off, data = off+n, data[n:]
		}
	}
}

// file is what its readers see, what is on the disk for sure, and the changes between the two.
type file struct {
	now, kept content
	changes   []change
}

// change is a write, or without data a new size.
type change struct {
	at   int
	off  int
	data []byte
	size int // of the file after it
}

func (c change) to(content *content) {
	content.resize(c.size)
	content.put(c.off, c.data)
}

func (f *file) change(c change) {
	c.to(&f.now)
	f.changes = append(f.changes, c)
}

// keep makes durable what was changed until then.
func (f *file) keep(until int) {
	for len(f.changes) > 0 && f.changes[0].at <= until {
		f.changes[0].to(&f.kept)
		f.changes = f.changes[1:]
	}
}

// revert makes it what the disk holds: what was kept, and with luck nothing, some or all of what was not.
func (f *file) revert(luck *rand.Rand) {
	if luck != nil {
		switch luck.IntN(4) {
		case 0:
		case 1:
			f.keep(math.MaxInt)
		default:
			f.tear(luck)
		}
	}
	f.now, f.changes = f.kept.clone(), nil
}

// tear keeps what a disk may hold of changes that nobody waited for. The size is that of one moment. Each page is that of
// a moment of its own, so a later page may be there where an earlier one is not, zero if it is new. What was written
// after a file was cut shorter is not there without that cut: it went to other places of the disk.
func (f *file) tear(luck *rand.Rand) {
	sizes, moment := luck.IntN(len(f.changes)+1), f.moments(luck)
	before, size := f.kept.size, f.kept.size
	defer func() { f.kept.resize(size) }()
	for i, c := range f.changes {
		if c.size < before {
			if i >= sizes {
				return
			}
			f.kept.resize(min(f.kept.size, c.size))
		}
		before = c.size
		if i < sizes {
			size = c.size
		}
		f.kept.resize(max(f.kept.size, c.off+len(c.data)))
		for off, part := range parts(c.off, c.data) {
			if i < moment(off/page) {
				f.kept.put(off, part)
			}
		}
	}
}

// moments chooses for each page how many of the changes it has seen: for a part of them all.
func (f *file) moments(luck *rand.Rand) func(page int) int {
	share, chosen := luck.Float64(), map[int]int{}
	return func(page int) int {
		if _, known := chosen[page]; !known {
			chosen[page] = len(f.changes)
			if luck.Float64() > share {
				chosen[page] = luck.IntN(len(f.changes) + 1)
			}
		}
		return chosen[page]
	}
}
