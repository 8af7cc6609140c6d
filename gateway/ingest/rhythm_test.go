package ingest

import (
	"testing"
	"time"
)

// days lets so many pass, with an event every two seconds in the hours for which busy is true, and returns how often a
// silence became unusual on each of them.
func days(r *rhythm, from time.Time, days int, busy func(day, hour int) bool) (cries []int) {
	const step = 2 * time.Second
	var count int64
	silent := false
	for day := range days {
		cries = append(cries, 0)
		for at := time.Duration(0); at < 24*time.Hour; at += step {
			if busy(day, int(at/time.Hour)) {
				count++
			}
			now := from.Add(time.Duration(day)*24*time.Hour + at)
			r.tick(count, now)
			lasts, limit, _ := r.silence(count, now)
			before := silent
			if silent = limit > 0 && lasts > limit; silent && !before {
				cries[day]++
			}
		}
	}
	return cries
}

func TestSilenceIsUnusualWhereMoreCameBefore(t *testing.T) {
	monday := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	office := func(_, hour int) bool { return hour >= 8 && hour < 20 }
	for _, c := range []struct {
		name string
		busy func(day, hour int) bool
		want []int // on each day
	}{
		{"nothing ever", func(int, int) bool { return false }, []int{0, 0}},
		{"always something", func(int, int) bool { return true }, []int{0, 0}},
		{"a pause every night is told of once", office, []int{1, 0, 0, 0}},
		{"a morning without traffic is told of", func(day, hour int) bool { return office(0, hour) && (day != 2 || hour < 10) }, []int{1, 0, 1}},
		{"so is every weekend once", func(day, hour int) bool { return office(0, hour) && day%7 < 5 }, []int{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := days(newRhythm(15*time.Minute, monday.Add(-time.Minute)), monday, len(c.want), c.busy)
			for day, want := range c.want {
				if got[day] != want {
					t.Errorf("told of %v times, want %v", got, c.want)
					break
				}
			}
		})
	}
}

func TestTheUsualGapFollowsTheTraffic(t *testing.T) {
	r := newRhythm(15*time.Minute, time.Unix(0, 0))
	var count int64
	now := time.Unix(0, 0)
	for _, gap := range []time.Duration{2 * time.Second, 10 * time.Second} {
		for range 10 * mostSamples {
			now = now.Add(gap)
			count++
			r.tick(count, now)
		}
		if _, _, usual := r.silence(count, now); usual.Round(100*time.Millisecond) != gap {
			t.Errorf("the usual gap is %s, want %s", usual, gap)
		}
	}
	if got := r.patience(); got.Round(time.Second) != 200*time.Second {
		t.Errorf("the patience is %s", got)
	}
	if got := newRhythm(0, now); got.patience() != leastPatience {
		t.Errorf("the patience without a limit of silence is %s", got.patience())
	}
}

func TestASenderThatIsSilentAfterARestartIsToldOf(t *testing.T) {
	start := time.Unix(0, 0)
	r := newRhythm(15*time.Minute, start)
	r.expect(time.Minute, start)
	for now := start; now.Before(start.Add(25 * time.Minute)); now = now.Add(time.Second) {
		r.tick(0, now)
		if lasts, limit, usual := r.silence(0, now); limit != 20*time.Minute || lasts != now.Sub(start) || usual != time.Minute {
			t.Fatalf("silent for %s of %s, the usual gap is %s", lasts, limit, usual)
		}
	}
}
