package seen

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"
)

// Memory remembers deliveries in this process, a bounded number of them: at the bound the one that was marked first is
// forgotten. It is safe for concurrent use.
//
// An identity is remembered as the first 192 bits of its SHA-256, which nobody has ever found two texts for: without a
// pointer in it, a million of them cost the garbage collector nothing.
type Memory struct {
	max int
	now func() time.Time

	mu      sync.Mutex
	until   map[digest]uint32 // when it is forgotten, in seconds since 1970
	order   fifo              // as they were marked
	evicted uint64
	stream  time.Time // when the stream was made that they are about; zero before the first word
}

type digest [24]byte

func digestOf(identity string) digest {
	var room [160]byte // more than the longest identity there is
	sum := sha256.Sum256(append(room[:0], identity...))
	return digest(sum[:len(digest{})])
}

// NewMemory makes a Memory of at most max deliveries, which take about 100 bytes each.
func NewMemory(max int) *Memory {
	return &Memory{max: max, now: time.Now, until: map[digest]uint32{}}
}

// Lookup sets seen[i] where identities[i] is remembered. The error is always nil.
func (m *Memory) Lookup(_ context.Context, identities []string, seen []bool) error {
	now := uint32(m.now().Unix())
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, identity := range identities {
		seen[i] = m.until[digestOf(identity)] > now
	}
	return nil
}

// Mark remembers what is stored, until this process ends. The error is always nil.
func (m *Memory) Mark(_ context.Context, marks []Mark) error {
	now := m.now()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forgetExpired(uint32(now.Unix()))
	for i := range marks {
		m.remember(&marks[i], now)
	}
	return nil
}

func (m *Memory) remember(mark *Mark, now time.Time) {
	left, key := mark.left(now), digestOf(mark.Identity)
	if _, known := m.until[key]; known || left <= 0 {
		return
	}
	if len(m.until) == m.max {
		m.forgetFirst()
		m.evicted++
	}
	m.until[key] = uint32(now.Add(left).Unix())
	m.order.push(key)
}

func (m *Memory) forgetExpired(now uint32) {
	for len(m.until) > 0 && m.until[m.order.first()] <= now {
		m.forgetFirst()
	}
}

func (m *Memory) forgetFirst() { delete(m.until, m.order.pop()) }

// Of says by the time when it was made which stream the marks are about, zero while there is none. It reports whether
// that is another one than before: then nothing is remembered any more.
func (m *Memory) Of(created time.Time) (other bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	other = !m.stream.IsZero() && !m.stream.Equal(created)
	m.stream = created
	if other {
		m.until, m.order = map[digest]uint32{}, fifo{}
	}
	return other
}

// Len is how many deliveries are remembered.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.until)
}

// Evicted is how many deliveries were forgotten before their [TTL].
func (m *Memory) Evicted() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.evicted
}

// fifo is a queue in blocks, so that it grows and shrinks without being copied.
type fifo struct {
	blocks     []*[fifoBlock]digest
	head, tail int // in the first and in the last block
}

const fifoBlock = 1024

func (q *fifo) push(d digest) {
	if len(q.blocks) == 0 || q.tail == fifoBlock {
		q.blocks, q.tail = append(q.blocks, new([fifoBlock]digest)), 0
	}
	q.blocks[len(q.blocks)-1][q.tail] = d
	q.tail++
}

// first is that of a queue that is not empty, as is pop.
func (q *fifo) first() digest { return q.blocks[0][q.head] }

func (q *fifo) pop() digest {
	d := q.first()
	if q.head++; q.head == fifoBlock {
		q.blocks[0] = nil // or the array below would keep it
		q.blocks, q.head = q.blocks[1:], 0
	}
	return d
}
