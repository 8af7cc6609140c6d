package main

import (
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"sync"
	"syscall"
	"time"
)

// disk is a tree of folders and files as programs see it, and as it would be found after a power cut.
//
// What survives a cut is what POSIX promises and no more, with one mercy: a sync of a file or folder keeps the name that
// it was created under too, and the folders on the way there, when they are new. ext4, XFS and Btrfs do that, and programs
// count on it. They keep more: a sync there takes every older change of names with it. Here a name that was removed or
// changed needs a sync of its folder, so that a program that forgets it is found out.
//
// Modes and times survive at once: nothing depends on them. It is safe for concurrent use.
type disk struct {
	takes time.Duration // a sync

	mu    sync.Mutex
	off   bool
	clock int // counts the changes, of content and of names
	ids   uint64
	root  *inode
	names []naming // not yet kept, in order
	trap  *trap    // nil but while a change is waited for
}

// trap is a power cut that comes with the next change of a file whose name matches.
type trap struct {
	pattern string
	luck    *rand.Rand
	sprung  chan struct{}
}

// inode is a file or a folder.
type inode struct {
	id     uint64
	mode   uint32
	mtime  time.Time
	madeIn *inode // the folder that it was created in
	madeAs string

	names, kept map[string]*inode // of a folder: as seen, and as a cut would leave it
	file        file              // of a file
}

func (n *inode) isDir() bool { return n.mode&syscall.S_IFDIR != 0 }

// naming is a change of one or two names that happens as a whole.
type naming struct {
	at   int
	made *inode // where that is what it does
	set  []name
}

// name is what a name in a folder stands for from then on, or none.
type name struct {
	in   *inode
	name string
	to   *inode
}

func newDisk(takes time.Duration) *disk {
	d := &disk{takes: takes}
	d.root = d.newInode(syscall.S_IFDIR | 0o700)
	return d
}

func (d *disk) newInode(mode uint32) *inode {
	d.ids++
	n := &inode{id: d.ids, mode: mode, mtime: time.Now()}
	if n.isDir() {
		n.names, n.kept = map[string]*inode{}, map[string]*inode{}
	}
	return n
}

// use calls f with the disk locked, or fails when there is no power.
func (d *disk) use(f func() syscall.Errno) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.off {
		return syscall.EIO
	}
	return f()
}

// tick is the time of the change that happens now.
func (d *disk) tick() int { d.clock++; return d.clock }

// rename changes names, at once for whoever looks, and after a sync for good.
func (d *disk) rename(made *inode, set ...name) {
	for _, s := range set {
		s.in.mtime = time.Now()
		put(s.in.names, s)
	}
	d.names = append(d.names, naming{at: d.tick(), made: made, set: set})
	for _, s := range set {
		d.changed(s.name)
	}
}

// write changes the content of a file, or without data its size.
func (d *disk) write(n *inode, off int, data []byte, size int) {
	n.mtime = time.Now()
	n.file.change(change{at: d.tick(), off: off, data: slices.Clone(data), size: size})
	d.changed(n.madeAs)
}

// changed springs a trap that waits for this name.
func (d *disk) changed(name string) {
	if d.trap == nil {
		return
	}
	if matches, _ := path.Match(d.trap.pattern, name); matches {
		d.lose(d.trap.luck)
		close(d.trap.sprung)
		d.trap = nil
	}
}

func put(names map[string]*inode, s name) {
	if s.to == nil {
		delete(names, s.name)
	} else {
		names[s.name] = s.to
	}
}

// create makes a file or a folder with a name.
func (d *disk) create(in *inode, as string, mode uint32) *inode {
	n := d.newInode(mode)
	n.madeIn, n.madeAs = in, as
	d.rename(n, name{in, as, n})
	return n
}

// sync keeps what was written to a file, or the names in a folder, before it began. Nothing of it is sure before it
// returns. What happens meanwhile is left to the next.
func (d *disk) sync(n *inode) syscall.Errno {
	d.mu.Lock()
	began, clean := d.clock, len(n.file.changes) == 0 && len(d.covered(n, d.clock)) == 0
	d.mu.Unlock()
	if !clean {
		time.Sleep(d.takes)
	}
	return d.use(func() syscall.Errno {
		n.file.keep(began)
		d.keepNames(d.covered(n, began))
		return 0
	})
}

// covered are the changes of names that a sync of a file or folder keeps: those in it, its creation and that of the
// folders on the way to it, and what happened to the same names before.
func (d *disk) covered(n *inode, began int) map[int]bool {
	way := map[*inode]bool{}
	for f := n; f != nil; f = f.madeIn {
		way[f] = true
	}
	type place struct {
		in   *inode
		name string
	}
	places, covered := map[place]bool{}, map[int]bool{}
	for _, c := range slices.Backward(d.names) {
		if c.at <= began && (way[c.made] || slices.ContainsFunc(c.set, func(s name) bool { return s.in == n || places[place{s.in, s.name}] })) {
			covered[c.at] = true
			for _, s := range c.set {
				places[place{s.in, s.name}] = true
			}
		}
	}
	return covered
}

// keepNames makes these changes durable.
func (d *disk) keepNames(chosen map[int]bool) {
	d.names = slices.DeleteFunc(d.names, func(c naming) bool {
		for _, s := range c.set {
			if chosen[c.at] {
				put(s.in.kept, s)
			}
		}
		return chosen[c.at]
	})
}

// cut takes the power away, at once or with the next change of a file whose name matches, and tells when that is done.
func (d *disk) cut(pattern string, luck *rand.Rand) (done chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.trap = &trap{pattern, luck, make(chan struct{})}
	done = d.trap.sprung
	if pattern == "" {
		d.changed("")
	}
	return done
}

// lose makes everything fail until [disk.restore]. What was not synced is lost. With luck some of it has reached the disk:
// the changes of names up to some moment, as journaling file systems keep them, and any of the pages.
func (d *disk) lose(luck *rand.Rand) {
	d.off = true
	if luck != nil {
		reached := map[int]bool{}
		for _, c := range d.names[:luck.IntN(len(d.names)+1)] {
			reached[c.at] = true
		}
		d.keepNames(reached)
	}
	d.names = nil
	d.root.revert(luck, map[*inode]bool{})
}

// revert makes a file or folder what the disk holds of it, with all below it.
func (n *inode) revert(luck *rand.Rand, done map[*inode]bool) {
	if done[n] {
		return
	}
	done[n] = true
	n.file.revert(luck)
	if n.isDir() {
		n.names = maps.Clone(n.kept)
	}
	for _, name := range slices.Sorted(maps.Keys(n.names)) {
		n.names[name].revert(luck, done)
	}
}

// restore gives the power back.
func (d *disk) restore() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.off = false
}
