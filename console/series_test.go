package main

import (
	"math"
	"testing"
)

func TestASeriesIsTheLastHour(t *testing.T) {
	t.Parallel()
	s := newSeries()
	for minute := int64(1000); minute < 1100; minute++ {
		s.add(minute, 1)
		s.add(minute, float64(minute))
	}
	values := s.values(1099)
	if len(values) != minutes || values[0] != 1041 || values[59] != 1100 {
		t.Errorf("%v", values)
	}
	if s.add(1000, 5); s.values(1099)[0] != 1041 {
		t.Error("what is too old counts")
	}
	later := s.values(1104) // nothing came in five minutes
	if !math.IsNaN(later[59]) || !math.IsNaN(later[55]) || later[54] != 1100 {
		t.Errorf("%v", later[50:])
	}
	s.most(1110, 3)
	s.most(1110, 2)
	if after := s.values(1110); after[59] != 3 || !math.IsNaN(after[58]) || after[48] != 1100 {
		t.Errorf("%v", after[45:])
	}
	if empty := newSeries().values(1100); !math.IsNaN(empty[0]) {
		t.Errorf("%v", empty)
	}
}

func TestTextsOfStrangersDoNothing(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a b\nc\t<d> ä 日": "a b\nc\t<d> ä 日",
		"\x1b[2J\x00\r":   `\x1b[2J\x00\x0d`,
		"\xff\xfe":        `\xff\xfe`,
		"a\u202eb\u2028":  `a\u202eb\u2028`,
		"\ufffd":          "\ufffd", // a letter as any other
	} {
		if got := plain(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 41230: "41,230", 10000000: "10,000,000", -1000: "-1,000"} {
		if got := count(n); got != want {
			t.Errorf("%d is shown as %s", n, got)
		}
	}
}
