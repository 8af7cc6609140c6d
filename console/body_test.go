package main

import (
	"runtime"
	"strings"
	"testing"
)

// What it takes to show JSON grows with its length, and not with its square: a stranger may have made it so that each
// value costs as much as all before it. It runs alone, because it measures.
func TestJSONOfManyValuesTakesNoMoreThanItsLength(t *testing.T) {
	takes := func(values int) uint64 {
		data := []byte("[" + strings.Repeat(`{},"`+strings.Repeat("<", 90)+`",`, values/2) + "1]")
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if bodyOf(data, "").JSON == "" {
			t.Error("it is not shown as JSON")
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	if few, many := takes(200), takes(2000); many > 30*few {
		t.Errorf("2,000 values take %d bytes, 200 take %d", many, few)
	}
}
