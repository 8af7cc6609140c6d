package main

import (
	"testing"
	"time"
)

func TestTimesAreReadAsPeopleWriteThem(t *testing.T) {
	now := time.Date(2026, 3, 15, 14, 0, 0, 0, time.Local)
	day := func(d, hour, minute, second int) time.Time {
		return time.Date(2026, 3, d, hour, minute, second, 0, time.Local)
	}
	for text, want := range map[string]time.Time{
		"": {}, "0s": now, "now": now, "2h": now.Add(-2 * time.Hour), "1d": now.Add(-24 * time.Hour), "2w": now.Add(-14 * 24 * time.Hour), "1d12h": now.Add(-36 * time.Hour), "1w1d1h": now.Add(-193 * time.Hour),
		"13:02": day(15, 13, 2, 0), "13:02:05": day(15, 13, 2, 5), "today": day(15, 0, 0, 0), "yesterday": day(14, 0, 0, 0), "yesterday 13:02": day(14, 13, 2, 0), "today 23:59": day(15, 23, 59, 0),
		"13:02Z": time.Date(2026, 3, 15, 13, 2, 0, 0, time.UTC), "yesterday 13:02+02:00": time.Date(2026, 3, 14, 11, 2, 0, 0, time.UTC),
		"2026-01-31": time.Date(2026, 1, 31, 0, 0, 0, 0, time.Local), "2026-01-31 08:00+01:00": time.Date(2026, 1, 31, 7, 0, 0, 0, time.UTC), "2026-01-31T08:00:00Z": time.Date(2026, 1, 31, 8, 0, 0, 0, time.UTC),
	} {
		if got, err := parseTime("since", text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: %s %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"soon", "-1h", "1dd", "d", "1d-2h", "tomorrow", "yesterday noon", "25:00", "now 13:02", "yesterday ", "99999999w"} {
		if got, err := parseTime("since", text, now); err == nil {
			t.Errorf("%q is taken for %s", text, got)
		}
	}
}
