package ingest

import (
	"strconv"
	"sync"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
)

// A generation of signatures ends when it is full or old; two are remembered, which takes 6 MB at most.
const (
	generationSize = 1 << 16
	generationAge  = 30 * time.Minute // the sender's last attempt comes 35 minutes after its first
)

// copies counts how many deliveries of one signature are stored. The delivery id is not signed: who captured a request
// can send it again under any number of ids. It is safe for concurrent use.
type copies struct {
	limit uint16 // 0: no bound

	mu          sync.Mutex
	now, before map[uint64]uint16 // signature → how many are stored or on their way
	begun       time.Time
}

func newCopies(limit int) *copies { return &copies{limit: uint16(limit), now: map[uint64]uint16{}} }

// enter returns what of a group is one copy too many. The others count from here on, so that of those that come together
// no more than the limit pass.
func (c *copies) enter(group []*delivery, at time.Time) (over []*delivery) {
	if c.limit == 0 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.age(at)
	for _, d := range group {
		if d.quarantined == "" && !c.count(keyOf(d)) {
			over = append(over, d)
		}
	}
	return over
}

func (c *copies) count(key uint64) bool {
	count := c.now[key] + c.before[key]
	if count >= c.limit {
		return false
	}
	c.now[key] = count + 1
	delete(c.before, key)
	return true
}

// leave takes back one that was not stored after all.
func (c *copies) leave(d *delivery) {
	if c.limit == 0 || d.quarantined != "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	key := keyOf(d)
	switch {
	case c.now[key] > 1:
		c.now[key]--
	case c.now[key] == 1:
		delete(c.now, key)
	case c.before[key] > 0:
		c.before[key]--
	}
}

func (c *copies) age(at time.Time) {
	if len(c.now) >= generationSize || at.Sub(c.begun) > generationAge {
		c.before, c.now, c.begun = c.now, map[uint64]uint16{}, at
	}
}

// keyOf is the first 64 bits of the signature, which nobody without a secret can choose.
func keyOf(d *delivery) uint64 {
	_, digits := event.SplitIdentity(d.identity)
	key, _ := strconv.ParseUint(digits, 16, 64)
	return key
}
