package ingest

import (
	"fmt"
	"sync/atomic"
	"time"
)

// clock watches whether what is authentic is also on time. A clock that is wrong, here or at the sender, makes everything
// stale: it is kept in quarantine, and the sender gives the URL up after 50 failures in a row. A late retry says nothing
// about a clock while others are on time.
type clock struct {
	late  atomic.Int64 // authentic deliveries out of tolerance since the last that was on time
	first atomic.Int64 // when the first of those came, in nanoseconds since 1970
	off   atomic.Int64 // how old the last of them was, in nanoseconds; negative when it came from the future
}

// The clock is in doubt after so many late deliveries, and none on time, for so long.
const (
	enoughLate = 10
	lateFor    = 10 * time.Second
)

// saw notes an authentic delivery.
func (c *clock) saw(stale bool, age time.Duration, now time.Time) {
	if !stale {
		if c.late.Load() > 0 {
			c.late.Store(0)
		}
		return
	}
	c.off.Store(int64(age))
	if c.late.Add(1) == 1 {
		c.first.Store(now.UnixNano())
	}
}

func (c *clock) wrong(now time.Time) bool {
	return c.late.Load() >= enoughLate && now.UnixNano()-c.first.Load() >= int64(lateFor)
}

// trouble is what there is to say about a clock that is wrong.
func (c *clock) trouble(now time.Time) *trouble {
	if !c.wrong(now) {
		return nil
	}
	return &trouble{
		begins: "authentic deliveries are stale", ends: "authentic deliveries are on time again",
		since: time.Unix(0, c.first.Load()), degrades: true, remedy: clockRemedy,
		detail: fmt.Sprintf("%d authentic deliveries in a row are stale, the last one by %s", c.late.Load(), time.Duration(c.off.Load()).Round(time.Second)),
	}
}
