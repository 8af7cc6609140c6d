package journal

import (
	"bytes"
	"strconv"
	"testing"
)

// BenchmarkAppend appends groups of records of 700 bytes, each with one sync, and settles them as it goes:
//
//	go test -run '^$' -bench Append ./gateway/journal
func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{1, 24, 64, 512} {
		b.Run("group="+strconv.Itoa(size), func(b *testing.B) {
			j, _ := openedWith(b, b.TempDir(), 1<<30)
			group := make([][]byte, size)
			for i := range group {
				group[i] = bytes.Repeat([]byte{byte(i)}, 700)
			}
			b.SetBytes(int64(size) * 700)
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				if _, err := j.Append(group); err != nil {
					b.Fatal(err)
				}
				if n%1000 == 999 {
					if err := j.Checkpoint(j.Next()); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(size*b.N)/b.Elapsed().Seconds(), "records/s")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "syncs/s")
		})
	}
}

// BenchmarkRead reads what lies in a journal, 64 MiB of records of 700 bytes.
func BenchmarkRead(b *testing.B) {
	j, _ := openedWith(b, b.TempDir(), 1<<30)
	group := make([][]byte, 512)
	for i := range group {
		group[i] = make([]byte, 700)
	}
	for j.Next() < 90_000 {
		if _, err := j.Append(group); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(j.Depth()) * 700)
	b.ReportAllocs()
	for b.Loop() {
		if err := j.Read(0, func(uint64, []byte) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}
