package worker

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

var errAway = errors.New("the database is away")

// tripped is a breaker that five first failures have tripped.
func tripped(t *testing.T) *breaker {
	b := newBreaker(func(outage) {}, confirmWithin)
	t.Cleanup(b.stop)
	for n := range tripAfter {
		if counts := b.failed(0, true, errAway); counts != (n < tripAfter-1) {
			t.Errorf("failure %d counts: %v", n+1, counts)
		}
	}
	if b.state().cause == nil {
		t.Fatal("the breaker has not tripped")
	}
	return b
}

func TestOnlyFirstFailuresInARowTripTheBreaker(t *testing.T) {
	b := newBreaker(func(outage) {}, confirmWithin)
	defer b.stop()
	for range 10 * tripAfter { // events that fail again and again
		if !b.failed(0, false, errAway) {
			t.Fatal("a later failure does not count")
		}
	}
	for range 10 {
		for range tripAfter - 1 {
			b.failed(0, true, errAway)
		}
		b.succeeded()
	}
	if b.state().cause != nil {
		t.Error("tripped although events succeed")
	}
}

func TestWhatFailsDuringAnOutageDoesNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := tripped(t)
		if b.failed(0, true, errAway) || b.failed(0, false, errAway) {
			t.Error("a failure counts during an outage")
		}
		b.succeeded()
		if b.failed(1, true, errAway) {
			t.Error("a failure counts of an attempt that was made during an outage")
		}
		if !b.failed(2, true, errAway) {
			t.Error("a failure does not count once the outage is over")
		}
	})
}

// The probes take turns, so that a bad event among those that wait cannot prolong the outage, and come at least
// every 4 s, so that work begins again within 5 s of its end. Who came last is first among those who were tried as often.
func TestProbesTakeTurnsAndComeOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := tripped(t)
		passed := make(chan int)
		for n := range 4 {
			go func() {
				for tried := 0; ; tried++ {
					if p, ok := b.wait(context.Background(), tried); !ok || !p.waited {
						passed <- -1
						return
					}
					passed <- n
				}
			}()
			synctest.Wait() // so that they come in order
		}
		var turns []int
		last := time.Now()
		for range 12 {
			turns = append(turns, <-passed)
			if pause := time.Since(last); pause > lastProbe {
				t.Errorf("a pause of %s between two probes", pause)
			}
			last = time.Now()
			synctest.Wait()
		}
		if want := []int{3, 2, 1, 0, 0, 1, 2, 3, 3, 2, 1, 0}; !slices.Equal(turns, want) {
			t.Errorf("turns %v, want %v", turns, want)
		}
		b.succeeded()
		for range 4 + 4 { // each is admitted having waited, and then at once
			<-passed
		}
		if !last.Equal(time.Now()) {
			t.Error("who waits is not admitted at once when the breaker is reset")
		}
	})
}

func TestNoProbeComesBeforeAHandlerAllowsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(func(outage) {}, confirmWithin)
		defer b.stop()
		b.unavailable(time.Minute, errAway)
		begin := time.Now()
		if _, ok := b.wait(t.Context(), 0); !ok || time.Since(begin) != time.Minute {
			t.Errorf("the first probe after %s", time.Since(begin))
		}
	})
}

func TestAStoppedBreakerEndsEveryWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := tripped(t)
		ended := make(chan bool)
		go func() { _, ok := b.wait(context.Background(), 0); ended <- ok }()
		synctest.Wait()
		b.stop()
		if <-ended {
			t.Error("admitted by a stopped breaker")
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, ok := b.wait(ctx, 0); ok {
			t.Error("admitted although its context has ended")
		}
	})
}

// What was admitted before an outage and begins only in it is held back, and a probe is not.
func TestATrippedBreakerHoldsBackWhatItAdmitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(func(outage) {}, confirmWithin)
		defer b.stop()
		early, _ := b.wait(t.Context(), 0)
		b.unavailable(0, errAway)
		if _, ok := b.admits(early); ok {
			t.Error("begins during the outage")
		}
		probe, _ := b.wait(t.Context(), 0)
		if _, ok := b.admits(probe); !ok || !probe.probe {
			t.Error("a probe does not begin")
		}
		b.succeeded()
		if epoch, ok := b.admits(early); !ok || epoch != 2 {
			t.Errorf("epoch %d, %v once the breaker is reset", epoch, ok)
		}
	})
}

// A failure that would be the last of its event waits to see what happens next, and not for ever.
func TestALastFailureWaitsUntilItIsKnownWhoseFaultItIs(t *testing.T) {
	for name, c := range map[string]struct {
		happens func(*breaker)
		counts  bool
		after   time.Duration
	}{
		"success": {(*breaker).succeeded, true, time.Second},
		"trip":    {func(b *breaker) { b.unavailable(0, errAway) }, false, time.Second},
		"stop":    {(*breaker).stop, false, time.Second},
		"nothing": {func(*breaker) {}, true, confirmWithin},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBreaker(func(outage) {}, confirmWithin)
			defer b.stop()
			begin := time.Now()
			go func() { time.Sleep(time.Second); c.happens(b) }()
			if counts := b.confirms(t.Context(), 0); counts != c.counts || time.Since(begin) != c.after {
				t.Errorf("%s: counts %v after %s", name, counts, time.Since(begin))
			}
		})
	}
}
