package journal

import (
	"bytes"
	"log/slog"
	"os"
	"testing"

	"github.com/sluicehq/sluice/internal/rig"
)

// FuzzOpen lays arbitrary bytes over a segment. Whatever they are: the journal opens, reads no record that was not
// appended, and takes and gives back new ones.
func FuzzOpen(f *testing.F) {
	dir := rig.SmallDisk(f, 16<<20).Path
	j, _ := openedWith(f, dir, LeastBytes)
	for n := range 6 {
		mustAppend(f, j, n+1)
	}
	live := newSegment(1, 1, 7, 0) // with a seed that is known in all runs
	all := []byte{}
	for index := uint64(1); index < j.Next(); index++ {
		all = appendFrame(all, live.seed, frame{index: index, time: 1, rest: uint32(index % 2), place: uint32(1 - index%2)}, content(index))
	}
	next := j.Next()
	crash(j)

	f.Add([]byte{}, uint16(0), uint16(0))
	f.Add(all, uint16(0), uint16(0))
	f.Add(all[100:], uint16(50), uint16(8))
	f.Add(bytes.Repeat([]byte{0xff}, 100), uint16(1000), uint16(0))
	f.Add([]byte{1}, uint16(8), uint16(4000))
	f.Add(appendFrame(nil, live.seed, frame{index: 5, rest: sealed}, nil), uint16(0), uint16(0))
	f.Fuzz(func(t *testing.T, over []byte, at, cut uint16) {
		data := append(bytes.Clone(all), make([]byte, 1<<10)...)
		copy(data[min(int(at), len(data)):], over)
		data = data[:len(data)-min(len(data), int(cut))]
		for _, file := range append(segmentFiles(t, dir), dir+"/checkpoint") {
			_ = os.Remove(file)
		}
		if err := os.WriteFile(dir+"/"+live.name(), data, 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := Open(Options{Dir: dir, MaxBytes: LeastBytes, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		defer crash(j)
		before := uint64(0)
		for _, index := range indexes(t, j, 0) {
			if index <= before || index >= next {
				t.Fatalf("record %d was read after %d; %d were appended", index, before, next-1)
			}
			before = index
		}
		first := mustAppend(t, j, 2)
		if got := indexes(t, j, first); len(got) != 2 {
			t.Fatalf("read %v of 2 new records", got)
		}
	})
}
