package ingest

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

// room counts bytes up to a bound. It is safe for concurrent use.
type room struct {
	most int64
	used atomic.Int64
}

// take counts n more bytes, or none when they do not fit.
func (r *room) take(n int) bool {
	if r.used.Add(int64(n)) <= r.most {
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
