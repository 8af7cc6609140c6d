package ingest

import "testing"

func TestSmallBodiesHaveRoomOfTheirOwn(t *testing.T) {
	r := room{most: 16, large: 12}
	for i, step := range []struct {
		n     int
		small bool
		fits  bool
	}{{12, false, true}, {1, false, false}, {4, true, true}, {1, true, false}} {
		if got := r.take(step.n, step.small); got != step.fits {
			t.Errorf("step %d: %v", i, got)
		}
	}
	if r.give(16); r.used.Load() != 0 {
		t.Errorf("%d are left", r.used.Load())
	}
}
