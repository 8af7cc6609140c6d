package ingest

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

// room counts bytes up to a bound, and those of large bodies up to a lower one. It is safe for concurrent use.
type room struct {
	most, large int64
	used        atomic.Int64
}

// keptForSmall is the part of the limit that large bodies leave alone: by default as many small ones fit into it as there
// are connections.
const keptForSmall = 4

// take counts n more bytes, or none when they do not fit.
func (r *room) take(n int, small bool) bool {
	most := r.large
	if small {
		most = r.most
	}
	if r.used.Add(int64(n)) <= most {
		return true
	}
	r.give(n)
	return false
}

func (r *room) give(n int) { r.used.Add(-int64(n)) }

// Buffers come in sizes of powers of two. What is given back is used again, or falls to the garbage collector within
// two of its rounds.
const (
	leastBuffer = 4 << 10
	leastBits   = 12
)

var buffers [20]sync.Pool

// newBuffer is an empty one with room for size bytes at least.
func newBuffer(size int) *[]byte {
	class := classOf(size)
	if b, pooled := buffers[class].Get().(*[]byte); pooled {
		*b = (*b)[:0]
		return b
	}
	b := make([]byte, 0, leastBuffer<<class)
	return &b
}

func freeBuffer(b *[]byte) { buffers[classOf(cap(*b))].Put(b) }

func classOf(size int) int { return max(0, bits.Len(uint(max(size, 1)-1))-leastBits) }
