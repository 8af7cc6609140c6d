package seen

import (
	"context"
	"sync"
	"time"
)

// Memory remembers deliveries in this process, a bounded number of them: at the bound the one that was marked first is
// forgotten. It is exact and safe for concurrent use.
type Memory struct {
	max int
	now func() time.Time

	mu      sync.Mutex
	until   map[string]int64 // identity → when it is forgotten, in seconds since 1970
	order   []string         // from head on, as they were marked
	head    int
	evicted uint64
}

// NewMemory makes a Memory of at most max deliveries, which take about 200 bytes each.
func NewMemory(max int) *Memory {
	return &Memory{max: max, now: time.Now, until: map[string]int64{}}
}

// Lookup sets seen[i] where identities[i] is remembered. The error is always nil.
func (m *Memory) Lookup(_ context.Context, identities []string, seen []bool) error {
	now := m.now().Unix()
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, identity := range identities {
		seen[i] = m.until[identity] > now
	}
	return nil
}

// Mark remembers what is stored, until this process ends. The error is always nil.
func (m *Memory) Mark(_ context.Context, marks []Mark) error {
	now := m.now()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forgetExpired(now.Unix())
	for i := range marks {
		m.remember(&marks[i], now)
	}
	return nil
}

func (m *Memory) remember(mark *Mark, now time.Time) {
	left := mark.left(now)
	if _, known := m.until[mark.Identity]; known || left <= 0 {
		return
	}
	if len(m.until) == m.max {
		m.forgetFirst()
		m.evicted++
	}
	m.until[mark.Identity] = now.Add(left).Unix()
	m.order = append(m.order, mark.Identity)
}

func (m *Memory) forgetExpired(now int64) {
	for len(m.until) > 0 && m.until[m.order[m.head]] <= now {
		m.forgetFirst()
	}
}

func (m *Memory) forgetFirst() {
	delete(m.until, m.order[m.head])
	m.order[m.head] = "" // or the string would stay
	m.head++
	if m.head > len(m.order)/2 {
		m.order = append(m.order[:0], m.order[m.head:]...)
		clear(m.order[len(m.order):cap(m.order)])
		m.head = 0
	}
}

// Len is how many deliveries are remembered.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.until)
}

// Evicted is how many were forgotten before their time.
func (m *Memory) Evicted() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.evicted
}
