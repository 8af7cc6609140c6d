package journal

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"sort"
	"strconv"
)

// segment is a file with consecutive records. Nothing in the file has to be read to know where it stands: its name says
// its number, the index of its first record and its seed. A file that is written over gets a new name, and with it a new
// seed, in one step.
type segment struct {
	number uint64 // rises with each segment
	first  uint64 // the index of its first record
	seed   uint32
	size   int64 // on disk

	// The journal's lock guards these.
	end     int64 // its records end here, or before
	bound   uint64
	marks   []mark
	latest  mark           // where a reader was last
	told    map[int64]bool // damage that was said aloud, by offset
	readers int
}

// mark says where a record is, so that nobody has to read a segment from its beginning.
type mark struct {
	index  uint64
	offset int64
}

const markEvery = 1 << 20

func newSegment(number, first uint64, seed uint32, size int64) *segment {
	return &segment{number: number, first: first, seed: seed, size: size, bound: first, marks: []mark{{first, 0}}, told: map[int64]bool{}}
}

func (s *segment) name() string {
	return fmt.Sprintf("%012d-%020d-%08x.log", s.number, s.first, s.seed)
}

var segmentName = regexp.MustCompile(`^(\d{12})-(\d{20})-([0-9a-f]{8})\.log$`)

// listed are the segments of a folder, oldest first. Each ends where the next begins; where the last one ends is not known.
func listed(dir string) ([]*segment, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var all []*segment
	for _, e := range entries {
		parts := segmentName.FindStringSubmatch(e.Name())
		if parts == nil {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		number, _ := strconv.ParseUint(parts[1], 10, 64)
		first, err := strconv.ParseUint(parts[2], 10, 64)
		if err != nil {
			continue
		}
		seed, _ := strconv.ParseUint(parts[3], 16, 32)
		s := newSegment(number, first, uint32(seed), info.Size())
		s.end = s.size
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *segment) int { return cmp.Compare(a.number, b.number) })
	for i := range len(all) - 1 {
		all[i].bound = all[i+1].first
	}
	return all, nil
}

// near is a mark at a record, or as close before it as there is one. Whoever reads on begins where the last reading was.
func (s *segment) near(index uint64) mark {
	i := sort.Search(len(s.marks), func(i int) bool { return s.marks[i].index > index })
	m := s.marks[max(0, i-1)]
	if s.latest.index > m.index && s.latest.index <= index {
		return s.latest
	}
	return m
}

// remember makes a mark, where the last one is far.
func (s *segment) remember(index uint64, offset int64) {
	if offset >= s.marks[len(s.marks)-1].offset+markEvery {
		s.marks = append(s.marks, mark{index, offset})
	}
}

// begin makes a new segment the live one, with room for a group of so many bytes. Its name and its blocks are on disk
// when it returns. Only the appender calls it.
func (j *Journal) begin(least int64) error {
	if j.live != nil && j.live.bound <= j.First() {
		j.release() // all of it is settled, and its room may be what is needed
	}
	j.retire()
	size, spare, err := j.claim(least)
	if err != nil {
		return err
	}
	j.number++
	s := newSegment(j.number, j.next, rand.Uint32(), size)
	file, err := j.create(s, spare)
	if err != nil {
		return fullOr(fmt.Errorf("cannot make a new segment of the journal: %w", err))
	}
	j.release()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.segments = append(j.segments, s)
	j.file, j.live = file, s
	return nil
}

// claim is how large a new segment may be, and the file that becomes it, if there is one.
func (j *Journal) claim(least int64) (size int64, spare *segment, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	left := j.max - j.bytes()
	if j.spare != nil {
		left += j.spare.size
	}
	size = min(max(j.segmentSize, roundUp(least)), left)
	if size < least {
		return 0, nil, fmt.Errorf("%w: its %d bytes are used, and the group needs %d", ErrFull, j.max, least)
	}
	spare, j.spare = j.spare, nil
	return size, spare, nil
}

func roundUp(n int64) int64 { return (n + pageSize - 1) / pageSize * pageSize }

// create makes the file of a segment, of a spare one where there is one. What fails leaves nothing behind.
func (j *Journal) create(s, spare *segment) (file *os.File, err error) {
	path, flags := j.path(s), os.O_RDWR
	if spare == nil {
		flags |= os.O_CREATE | os.O_EXCL
	} else if err := os.Rename(j.path(spare), path); err != nil {
		return nil, err
	}
	if file, err = os.OpenFile(path, flags, 0o600); err != nil {
		return nil, err
	}
	if spare == nil || spare.size != s.size {
		err = reserve(file, s.size)
	}
	if err == nil {
		err = file.Sync()
	}
	if err == nil {
		err = syncFolder(j.dir)
	}
	if err != nil {
		_ = file.Close()
		_ = os.Remove(path)
		return nil, err
	}
	return file, nil
}

// retire drops the segments that hold nothing any more, the oldest first, and keeps the newest of them to be written over.
// One that is being read stays until the next time.
func (j *Journal) retire() {
	j.mu.Lock()
	gone := []*segment{}
	if j.spare != nil {
		gone = append(gone, j.spare)
	}
	j.segments = slices.DeleteFunc(j.segments, func(s *segment) bool {
		settled := s != j.live && s.readers == 0 && s.bound <= max(j.first, s.first)
		if settled {
			gone = append(gone, s)
		}
		return settled
	})
	j.spare = nil
	for i := len(gone) - 1; i >= 0 && j.spare == nil; i-- {
		if gone[i].size == j.segmentSize {
			j.spare = gone[i]
			gone = slices.Delete(gone, i, i+1)
		}
	}
	j.mu.Unlock()
	for _, s := range gone {
		if err := os.Remove(j.path(s)); err != nil {
			j.log.Warn("cannot remove a settled segment of the journal: the next start tries again", "file", j.path(s), "error", err)
		}
	}
}

// syncFolder puts the names in a folder on disk.
func syncFolder(dir string) error {
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}
