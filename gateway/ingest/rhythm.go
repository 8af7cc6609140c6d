package ingest

import (
	"sync"
	"time"
)

// rhythm learns how often something authentic comes, and from that what silence is unusual.
//
// The usual gap is a mean over the last minutes of traffic. Silence is unusual when it lasts longer than `least`, than 20
// usual gaps, and than half as long again as it was in this hour a week ago, or yesterday while no week is known: a pause
// at night or at the weekend is told of once, and is usual from then on. A restart forgets all but the usual gap, which is
// then what the stream says.
type rhythm struct {
	least time.Duration // 0: no silence is unusual
	began time.Time

	mu      sync.Mutex
	count   int64                          // authentic deliveries by the last tick
	last    time.Time                      // the tick that found new ones last; zero before the first
	usual   time.Duration                  // between two of them
	samples int64                          // gaps that the mean is made of
	hour    int64                          // since 1970
	silent  [8 * hoursOfADay]time.Duration // the longest silence in each hour of the last days
}

const (
	hoursOfADay  = 24
	hoursOfAWeek = 7 * hoursOfADay
	gapsOfUsual  = 20 // silence of fewer gaps is chance
	leastSamples = 10
	mostSamples  = 1024
)

func newRhythm(least time.Duration, now time.Time) *rhythm {
	return &rhythm{least: least, began: now, hour: hourOf(now)}
}

func hourOf(now time.Time) int64 { return now.Unix() / 3600 }

// expect is told the usual gap of the time before this start, and that nothing has come since.
func (r *rhythm) expect(gap time.Duration, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.samples == 0 && r.count == 0 {
		r.usual, r.samples, r.last = gap, leastSamples, now
	}
}

// tick is told from time to time how many authentic deliveries there have been.
func (r *rhythm) tick(count int64, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if count > r.count {
		if !r.last.IsZero() {
			r.learn(now.Sub(r.last), count-r.count)
		}
		r.count, r.last = count, now
	}
	if hour := hourOf(now); hour != r.hour {
		r.hour = hour
		*r.of(hour) = 0
	}
	if !r.last.IsZero() {
		*r.of(r.hour) = max(*r.of(r.hour), now.Sub(r.last))
	}
}

// learn takes in that so many came within a time.
func (r *rhythm) learn(within time.Duration, came int64) {
	r.samples = min(r.samples+came, mostSamples)
	r.usual += (within/time.Duration(came) - r.usual) * time.Duration(min(came, mostSamples)) / time.Duration(r.samples)
}

func (r *rhythm) of(hour int64) *time.Duration { return &r.silent[hour%int64(len(r.silent))] }

// limit is how long a silence may be now; 0 while that is not known, or nobody asks.
func (r *rhythm) limit() time.Duration {
	if r.least == 0 || r.samples < leastSamples {
		return 0
	}
	limit := max(r.least, gapsOfUsual*r.usual)
	for _, ago := range []int64{hoursOfAWeek, hoursOfADay} {
		if before := r.hour - ago; hourOf(r.began) < before {
			return max(limit, *r.of(before)/2*3)
		}
	}
	return limit
}

// silence is how long nothing authentic came, how long that may last (0: for ever), and the usual gap.
func (r *rhythm) silence(count int64, now time.Time) (lasts, limit, usual time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if count == r.count && !r.last.IsZero() {
		lasts = now.Sub(r.last)
	}
	return lasts, r.limit(), r.usual
}

// heard reports whether anything authentic has come, in this run or before it.
func (r *rhythm) heard() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.last.IsZero()
}

// patience is how long nothing authentic comes without a meaning.
func (r *rhythm) patience() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return max(leastPatience, min(gapsOfUsual*r.usual, r.least))
}
