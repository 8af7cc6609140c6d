package ingest

import (
	"math"
	"sync"
	"time"
)

// recent is what the last 1,000 answers were, or as many as there were lately: older ones fade, so that what is over does
// not stand there for days where little comes. Each counts itself, and what came is folded in every
// second.
type recent struct {
	all []*answer

	mu     sync.Mutex
	folded []int64   // of what was given, in the order of all
	weight []float64 // what the last ones were, in the order of all
	at     time.Time
}

const (
	lastAnswers = 1000
	halfLife    = 5 * time.Minute
)

func newRecent(all []*answer, now time.Time) *recent {
	return &recent{all: all, folded: make([]int64, len(all)), weight: make([]float64, len(all)), at: now}
}

// fold takes in what was answered since the last time.
func (r *recent) fold(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	came, kept := make([]float64, len(r.all)), math.Exp2(-now.Sub(r.at).Seconds()/halfLife.Seconds())
	r.at = now
	for i, a := range r.all {
		n := a.verified.Load() + a.unverified.Load()
		came[i], r.folded[i] = float64(n-r.folded[i]), n
		r.weight[i] *= kept
	}
	fresh := min(lastAnswers, sum(came))
	scale(came, fresh)
	scale(r.weight, min(lastAnswers-fresh, sum(r.weight)))
	for i := range came {
		r.weight[i] += came[i]
	}
}

// verified is how many authentic deliveries were answered since the start.
func (r *recent) verified() (n int64) {
	for _, a := range r.all {
		n += a.verified.Load()
	}
	return n
}

// shares are the parts of the last answers, of which there were so many.
func (r *recent) shares(now time.Time) (shares map[*answer]float64, of float64) {
	r.fold(now)
	r.mu.Lock()
	defer r.mu.Unlock()
	shares, of = map[*answer]float64{}, sum(r.weight)
	for i, a := range r.all {
		if of > 0 && r.weight[i] > 0 {
			shares[a] = r.weight[i] / of
		}
	}
	return shares, of
}

func sum(values []float64) (total float64) {
	for _, v := range values {
		total += v
	}
	return total
}

// scale makes values add up to total.
func scale(values []float64, total float64) {
	now := sum(values)
	for i := range values {
		if now > 0 {
			values[i] *= total / now
		}
	}
}
