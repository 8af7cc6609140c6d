package journal

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/internal/rig"
)

// place is where a record lies.
type place struct {
	file       string
	begin, end int64  // without what only fills it up
	group      uint64 // the first index of its group
}

// filled is a journal with several segments, closed or crashed, and where its records lie.
func filled(t testing.TB, dir string, closed bool) (places map[uint64]place, next uint64) {
	t.Helper()
	j, _ := openedWith(t, dir, LeastBytes*4)
	for n := 0; len(j.segments) < 4 || j.live.end < 20<<10; n++ {
		mustAppend(t, j, n%7+1)
	}
	places = map[uint64]place{}
	for _, s := range j.segments {
		all := read(t, j.path(s))
		sc := &scanner{window: window{file: bytes.NewReader(all), end: s.end}, seed: s.seed, end: s.end, want: s.first, bound: s.bound}
		if s != j.live {
			sc.end, sc.window.end = s.size, s.size
		}
		for r, _, found := sc.next(); found; r, _, found = sc.next() {
			places[r.index] = place{filepath.Base(j.path(s)), r.offset, r.offset + headSize + int64(r.length), r.group()}
		}
	}
	if len(places) != int(j.Next()-1) {
		t.Fatalf("%d places of %d records", len(places), j.Next()-1)
	}
	if next = j.Next(); !closed {
		crash(j)
	} else if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return places, next
}

// Whatever a disk does to a place: the records that lie there are lost, which is said, and all others are read. Only of
// the last group that is left of a process that was killed nothing is read, because it may be half written as well.
func TestDamageCostsTheRecordsThatItHits(t *testing.T) {
	t.Parallel()
	for name, closed := range map[string]bool{"closed": true, "killed": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			disk := rig.SmallDisk(t, 64<<20).Path
			places, next := filled(t, filepath.Join(disk, "whole"), closed)
			files := segmentFiles(t, filepath.Join(disk, "whole"))
			for n := range many(200) {
				r := rand.New(rand.NewPCG(uint64(n), 1))
				dir := copied(t, filepath.Join(disk, "whole"), filepath.Join(disk, "damaged"))
				file := filepath.Base(files[r.IntN(len(files))])
				all := read(t, filepath.Join(dir, file))
				from, to := damageSome(r, all)
				write(t, filepath.Join(dir, file), all)
				what := fmt.Sprintf("case %d: %s, bytes %d to %d", n, file, from, to)
				damageIsSteppedOver(t, dir, what, next, fates(places, next, closed, file, from, to))
				if err := os.RemoveAll(dir); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// fates says what damage to a stretch of a file does to each record.
func fates(places map[uint64]place, next uint64, closed bool, file string, from, to int64) func(uint64) fate {
	hit := func(p place) bool { return p.file == file && p.begin < to && p.end > from }
	end, torn := places[next-1], next // the first index of what may be half written
	if sealed := closed && (file != end.file || to <= end.end); !sealed {
		vanished := true // all that is behind it
		for index := next - 1; index >= end.group || index > 0 && vanished; index-- {
			if hit(places[index]) {
				torn = places[index].group
			} else {
				vanished = false
			}
		}
	}
	return func(index uint64) fate {
		switch {
		case index >= torn:
			return unsure
		case hit(places[index]):
			return lost
		}
		return there
	}
}

type fate int

const (
	there fate = iota
	lost
	unsure
)

// damageSome changes one bit, or all of up to 10,000 bytes.
func damageSome(r *rand.Rand, all []byte) (from, to int64) {
	at, n := r.IntN(len(all)), 1
	if r.IntN(2) == 0 {
		all[at] ^= 1 << r.IntN(8)
	} else {
		n = min(1+r.IntN(10_000), len(all)-at)
		for i := range n {
			all[at+i] ^= byte(1 + r.IntN(255))
		}
	}
	return int64(at), int64(at + n)
}

func damageIsSteppedOver(t *testing.T, dir, what string, next uint64, of func(uint64) fate) {
	t.Helper()
	j, log := openedWith(t, dir, LeastBytes*4)
	defer crash(j)
	got := map[uint64]bool{}
	for _, index := range indexes(t, j, 0) {
		got[index] = true
	}
	said, sure := 0, 0
	for index := uint64(1); index < next; index++ {
		switch f := of(index); {
		case f == there && !got[index]:
			t.Fatalf("%s: record %d is not there; said: %s", what, index, log)
		case f == lost && got[index]:
			t.Fatalf("%s: record %d is there", what, index)
		case f == lost:
			said++
			if index < j.Next() {
				sure++
			}
		}
	}
	if sure != int(j.Damaged()) || sure > 0 && !strings.Contains(log.String(), "level=ERROR") || said > 0 && log.String() == "" && sure == said {
		t.Fatalf("%s: %d records are lost, %d for sure; it counted %d and said: %s", what, said, sure, j.Damaged(), log)
	}
	again := log.String()
	indexes(t, j, 0)
	if log.String() != again {
		t.Fatalf("%s: said twice: %s", what, log)
	}
	first, err := j.Append(contents(j.Next(), 3))
	if last := indexes(t, j, first); err != nil || len(last) != 3 {
		t.Fatalf("%s: appended after the damage: %v, %v", what, last, err)
	}
}

func TestASegmentThatIsGoneCostsItsRecords(t *testing.T) {
	t.Parallel()
	disk := rig.SmallDisk(t, 16<<20).Path
	places, next := filled(t, filepath.Join(disk, "whole"), true)
	files := segmentFiles(t, filepath.Join(disk, "whole"))
	for i, file := range files[:len(files)-1] {
		for _, how := range []string{"removed", "emptied"} {
			dir := copied(t, filepath.Join(disk, "whole"), filepath.Join(disk, how+fmt.Sprint(i)))
			gone := filepath.Join(dir, filepath.Base(file))
			if how == "emptied" {
				write(t, gone, nil)
			} else if err := os.Remove(gone); err != nil {
				t.Fatal(err)
			}
			damageIsSteppedOver(t, dir, how, next, func(index uint64) fate {
				if places[index].file == filepath.Base(file) {
					return lost
				}
				return there
			})
		}
	}
}

func TestADamagedCheckpointLeavesTheOneBefore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, _ := opened(t, dir)
	mustAppend(t, j, 10)
	for before := range uint64(3) {
		if err := j.Checkpoint(before + 1); err != nil {
			t.Fatal(err)
		}
	}
	newest := int(j.checkpoint.turn%2) * placeSize
	crash(j)
	path := filepath.Join(dir, "checkpoint")
	whole := read(t, path)
	for _, at := range []int{0, 3, 5, 10, 17, placeHead - 1} {
		all := bytes.Clone(whole)
		all[newest+at] ^= 0x10
		write(t, path, all)
		j, log := opened(t, dir)
		if holds(t, j, 2, 11); !strings.Contains(log.String(), "checkpoint is damaged") {
			t.Errorf("byte %d; said: %s", at, log)
		}
		crash(j)
	}
	write(t, path, []byte("garbage"))
	j, log := opened(t, dir)
	holds(t, j, 1, 11)
	if !strings.Contains(log.String(), "checkpoint is damaged") {
		t.Errorf("said: %s", log)
	}
}
