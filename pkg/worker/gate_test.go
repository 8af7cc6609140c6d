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

// shutGate is a gate that five first failures have shut.
func shutGate(t *testing.T) *gate {
	g := newGate(func(down) {}, inDoubt)
	t.Cleanup(g.stop)
	for n := range downAfter {
		if counts := g.failed(0, true, errAway); counts != (n < downAfter-1) {
			t.Errorf("failure %d counts: %v", n+1, counts)
		}
	}
	if g.state().cause == nil {
		t.Fatal("the gate is open")
	}
	return g
}

func TestOnlyFirstFailuresInARowShutTheGate(t *testing.T) {
	g := newGate(func(down) {}, inDoubt)
	defer g.stop()
	for range 10 * downAfter { // events that fail again and again
		if !g.failed(0, false, errAway) {
			t.Fatal("a later failure does not count")
		}
	}
	for range 10 {
		for range downAfter - 1 {
			g.failed(0, true, errAway)
		}
		g.succeeded()
	}
	if g.state().cause != nil {
		t.Error("shut although events succeed")
	}
}

func TestWhatFailsWhileTheGateIsShutDoesNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := shutGate(t)
		if g.failed(0, true, errAway) || g.failed(0, false, errAway) {
			t.Error("a failure counts while the world is down")
		}
		g.succeeded()
		if g.failed(1, true, errAway) {
			t.Error("a failure counts of an attempt that was made while the world was down")
		}
		if !g.failed(2, true, errAway) {
			t.Error("a failure does not count once the world is up")
		}
	})
}

// The probes take turns, so that a bad event among those that wait cannot keep the gate shut, and come at least every
// 4 s, so that work begins again within 5 s of the world. Who came last is first among those who were tried as often.
func TestProbesTakeTurnsAndComeOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := shutGate(t)
		passed := make(chan int)
		for n := range 4 {
			go func() {
				for tried := 0; ; tried++ {
					if p, ok := g.pass(context.Background(), tried); !ok || !p.waited {
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
		g.succeeded()
		for range 4 + 4 { // each passes having waited, and then passes the open gate
			<-passed
		}
		if !last.Equal(time.Now()) {
			t.Error("who waits does not pass at once when the gate opens")
		}
	})
}

func TestAnUnavailableWorldIsLeftAloneAsLongAsItAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(func(down) {}, inDoubt)
		defer g.stop()
		g.unavailable(time.Minute, errAway)
		begin := time.Now()
		if _, ok := g.pass(t.Context(), 0); !ok || time.Since(begin) != time.Minute {
			t.Errorf("the first probe after %s", time.Since(begin))
		}
	})
}

func TestAStoppedGateSendsEveryoneAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := shutGate(t)
		ended := make(chan bool)
		go func() { _, ok := g.pass(context.Background(), 0); ended <- ok }()
		synctest.Wait()
		g.stop()
		if <-ended {
			t.Error("passed a stopped gate")
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, ok := g.pass(ctx, 0); ok {
			t.Error("passed although its context has ended")
		}
	})
}

// What passed the open gate and begins only after it has shut is held back, and a probe is not.
func TestAShutGateHoldsBackWhatHasPassed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(func(down) {}, inDoubt)
		defer g.stop()
		early, _ := g.pass(t.Context(), 0)
		g.unavailable(0, errAway)
		if _, ok := g.enter(early); ok {
			t.Error("begins although the gate is shut")
		}
		probe, _ := g.pass(t.Context(), 0)
		if _, ok := g.enter(probe); !ok || !probe.probe {
			t.Error("a probe does not begin")
		}
		g.succeeded()
		if epoch, ok := g.enter(early); !ok || epoch != 2 {
			t.Errorf("epoch %d, %v once the gate is open again", epoch, ok)
		}
	})
}

// A failure that would be the last of its event waits for the next one's word, and not for ever.
func TestALastFailureWaitsUntilItIsKnownWhoseFaultItIs(t *testing.T) {
	for name, c := range map[string]struct {
		happens func(*gate)
		counts  bool
		after   time.Duration
	}{
		"success":  {(*gate).succeeded, true, time.Second},
		"shutting": {func(g *gate) { g.unavailable(0, errAway) }, false, time.Second},
		"stop":     {(*gate).stop, false, time.Second},
		"nothing":  {func(*gate) {}, true, inDoubt},
	} {
		synctest.Test(t, func(t *testing.T) {
			g := newGate(func(down) {}, inDoubt)
			defer g.stop()
			begin := time.Now()
			go func() { time.Sleep(time.Second); c.happens(g) }()
			if counts := g.confirms(t.Context(), 0); counts != c.counts || time.Since(begin) != c.after {
				t.Errorf("%s: counts %v after %s", name, counts, time.Since(begin))
			}
		})
	}
}
