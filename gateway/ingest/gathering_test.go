package ingest

import (
	"testing"
	"testing/synctest"
	"time"
)

// gathered puts so many deliveries in and returns how many go together, and after how long.
func gathered(g *gathering, n int) (group int, took time.Duration) {
	begin := time.Now()
	for range n {
		g.put(&delivery{})
	}
	return len(g.take(nil)), time.Since(begin)
}

func TestNobodyWaitsWhereAtMostOneIsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGathering()
		defer g.close()
		for _, what := range []string{"nothing is out", "one is out"} {
			if group, took := gathered(g, 1); group != 1 || took > 0 {
				t.Errorf("%s: %d went after %s", what, group, took)
			}
		}
	})
}

func TestAGroupGoesWhenItIsAsLargeAsWhatIsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGathering()
		defer g.close()
		gathered(g, 4)
		if group, took := gathered(g, 4); group != 4 || took > 0 {
			t.Errorf("%d went after %s", group, took)
		}
		for range 3 { // of 8
			g.put(&delivery{})
		}
		go g.answerEach(5, time.Microsecond)
		if group, took := gathered(g, 0); group != 3 || took != 5*time.Microsecond {
			t.Errorf("%d went after %s", group, took)
		}
	})
}

func (g *gathering) answerEach(n int, after time.Duration) {
	for range n {
		time.Sleep(after)
		g.answered()
	}
}

func TestInACrowdHalfOfItGoesTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGathering()
		defer g.close()
		gathered(g, 32)
		if group, took := gathered(g, 32); group != 32 || took > 0 {
			t.Errorf("%d went after %s", group, took)
		}
		g.answerEach(64, time.Microsecond)
		go func() {
			for range 32 {
				time.Sleep(time.Microsecond)
				g.put(&delivery{})
			}
		}()
		if group, took := gathered(g, 0); group < 20 || took >= patience {
			t.Errorf("of a crowd of 64 %d went after %s", group, took)
		}
		g.answerEach(32, time.Microsecond)
		for waited := 0; ; waited++ {
			group, took := gathered(g, 1)
			g.answered()
			if took == 0 && group == 1 {
				return
			}
			if took > patience || waited > 20 {
				t.Fatalf("after the crowd one waits %s, the %dth time", took, waited)
			}
		}
	})
}

func TestWhatIsNeverAnsweredDelaysNobodyForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGathering()
		defer g.close()
		gathered(g, 8)
		if group, took := gathered(g, 1); group != 1 || took != patience {
			t.Errorf("%d went after %s", group, took)
		}
	})
}

func TestALargeGroupGoesInParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGathering()
		if first, _ := gathered(g, maxGroup+1); first != maxGroup {
			t.Errorf("%d went", first)
		}
		g.close()
		if rest, end := len(g.take(nil)), len(g.take(nil)); rest != 1 || end != 0 {
			t.Errorf("%d went, and %d at the end", rest, end)
		}
	})
}
