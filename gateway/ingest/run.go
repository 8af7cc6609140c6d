package ingest

import (
	"sync/atomic"
	"time"
)

// run counts the answers in a row that the sender takes for failures. It is safe for concurrent use.
type run struct {
	failed   atomic.Int64 // in a row
	doubtful atomic.Int64 // refused for what they are, since the last authentic delivery
	began    atomic.Int64 // when each of them began, in nanoseconds since 1970
	doubted  atomic.Int64
	patience atomic.Int64 // how long doubtful ones come alone before they are taken for the sender's, in nanoseconds

	last, lastDoubtful atomic.Pointer[answer]

	most   atomic.Int64 // since the start
	mostAt atomic.Int64 // and when
}

// So many doubtful refusals, and nothing authentic for so long, are the sender's.
const (
	enoughDoubtful = 10
	leastPatience  = 10 * time.Second
)

// any reports whether something failed, or may have, since the last success.
func (r *run) any() bool { return r.failed.Load()|r.doubtful.Load() != 0 }

// fails counts a failure, and what was doubtful before it for nothing: something authentic came. n is the run's length.
func (r *run) fails(given *answer, now time.Time) (n int64) {
	r.doubtful.Store(0)
	if n = r.failed.Add(1); n == 1 {
		r.began.Store(now.UnixNano())
	}
	r.last.Store(given)
	r.reaches(n, now)
	return n
}

func (r *run) doubts(given *answer, now time.Time) {
	r.lastDoubtful.Store(given)
	if r.doubtful.Add(1) == 1 {
		r.doubted.Store(now.UnixNano())
	}
}

func (r *run) end() {
	r.failed.Store(0)
	r.doubtful.Store(0)
}

// isDoubted reports whether what was refused for what it is has to be taken for the sender's.
func (r *run) isDoubted(now time.Time) bool {
	return r.doubtful.Load() >= enoughDoubtful && now.UnixNano()-r.doubted.Load() >= r.patience.Load()
}

// length is how many failed in a row by now.
func (r *run) length(now time.Time) int64 {
	n := r.failed.Load()
	if r.isDoubted(now) {
		n += r.doubtful.Load()
		r.reaches(n, now)
	}
	return n
}

// since is when it began.
func (r *run) since(now time.Time) time.Time {
	if r.failed.Load() == 0 && r.isDoubted(now) {
		return time.Unix(0, r.doubted.Load())
	}
	return time.Unix(0, r.began.Load())
}

// lastFailure is what was said last in a run that is not over.
func (r *run) lastFailure(now time.Time) *answer {
	if r.isDoubted(now) {
		return r.lastDoubtful.Load()
	}
	return r.last.Load()
}

func (r *run) reaches(n int64, now time.Time) {
	for most := r.most.Load(); n > most; most = r.most.Load() {
		if r.most.CompareAndSwap(most, n) {
			r.mostAt.Store(now.UnixNano())
			return
		}
	}
}
