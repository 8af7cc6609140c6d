package ingest

import (
	"fmt"
	"testing"
	"time"
)

func copyOf(signature int) *delivery { return &delivery{identity: fmt.Sprintf("id/%016x", signature)} }

func TestCopiesAreForgottenWithTime(t *testing.T) {
	c, at := newCopies(2), time.Now()
	enter := func(want int) {
		t.Helper()
		over := c.enter([]*delivery{copyOf(1), copyOf(1), copyOf(1)}, at)
		if got := 3 - len(over); got != want {
			t.Errorf("%d pass, want %d", got, want)
		}
	}
	enter(2)
	enter(0)
	c.leave(copyOf(1))
	enter(1)
	at = at.Add(generationAge + time.Second)
	enter(0) // the generation before still knows
	at = at.Add(generationAge + time.Second)
	enter(2)
}

func TestCopiesTakeBoundedMemory(t *testing.T) {
	c, at := newCopies(2), time.Now()
	for n := range 5 * generationSize {
		c.enter([]*delivery{copyOf(n), copyOf(-1)}, at)
	}
	if kept := len(c.now) + len(c.before); kept > 2*generationSize+2 {
		t.Errorf("%d signatures are remembered", kept)
	}
}
