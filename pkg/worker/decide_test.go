package worker

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
)

func TestDecide(t *testing.T) {
	boom := errors.New("boom")
	p := policy{attempts: 3, least: time.Second, most: time.Hour}
	for name, c := range map[string]struct {
		attempt int
		err     error
		draw    float64
		want    outcome
	}{
		"success":                    {1, nil, 0.5, outcome{kind: done, class: succeeded}},
		"success at the last":        {3, nil, 0.5, outcome{kind: done, class: succeeded}},
		"success beyond the last":    {9, nil, 0.5, outcome{kind: done, class: succeeded}},
		"nothing to do":              {1, fmt.Errorf("no: %w", Skip), 0.5, outcome{kind: done, class: skipped}},
		"unavailable":                {1, Unavailable(time.Minute, boom), 0.5, outcome{kind: retry, class: unavailable, pause: 500 * time.Millisecond, asked: time.Minute}},
		"out of time":                {1, fmt.Errorf("%w of 1s", errTimeout), 0.5, outcome{kind: retry, class: timeout, pause: 500 * time.Millisecond}},
		"died":                       {1, errDied, 0.5, outcome{kind: retry, class: died, pause: 500 * time.Millisecond}},
		"first failure":              {1, boom, 0.5, outcome{kind: retry, class: failed, pause: 500 * time.Millisecond}},
		"second failure":             {2, boom, 0.5, outcome{kind: retry, class: failed, pause: time.Second}},
		"no draw":                    {2, boom, 0, outcome{kind: retry, class: failed}},
		"last failure":               {3, boom, 0.5, outcome{kind: dead, class: failed, reason: event.ReasonExhausted}},
		"beyond the last":            {4, boom, 0.5, outcome{kind: dead, class: failed, reason: event.ReasonExhausted}},
		"permanent":                  {1, Permanent(boom), 0.5, outcome{kind: dead, class: permanent, reason: event.ReasonPermanent}},
		"permanent inside":           {1, fmt.Errorf("row 7: %w", Permanent(boom)), 0.5, outcome{kind: dead, class: permanent, reason: event.ReasonPermanent}},
		"permanent nothing":          {1, Permanent(nil), 0.5, outcome{kind: done, class: succeeded}},
		"later":                      {1, RetryAfter(time.Minute, boom), 0.5, outcome{kind: retry, class: asked, pause: time.Minute}},
		"later inside":               {1, fmt.Errorf("busy: %w", RetryAfter(time.Minute, boom)), 0.5, outcome{kind: retry, class: asked, pause: time.Minute}},
		"later without a reason":     {1, RetryAfter(time.Minute, nil), 0.5, outcome{kind: retry, class: asked, pause: time.Minute}},
		"later, but no attempt left": {3, RetryAfter(time.Minute, boom), 0.5, outcome{kind: dead, class: asked, reason: event.ReasonExhausted}},
		"later than never":           {1, RetryAfter(-time.Minute, boom), 0.5, outcome{kind: retry, class: asked}},
		"panic":                      {1, &panicError{"oops", "x.go:1"}, 0.25, outcome{kind: retry, class: panicked, pause: 250 * time.Millisecond}},
	} {
		if got := decide(c.attempt, c.err, p, c.draw); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestPausesDoubleUpToTheMost(t *testing.T) {
	p := policy{least: time.Second, most: time.Hour}
	for attempt, want := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 12: 2048 * time.Second, 13: time.Hour, 1000: time.Hour} {
		if got := p.ceiling(attempt); got != want {
			t.Errorf("after attempt %d: %s, want %s", attempt, got, want)
		}
	}
	if got := (policy{least: time.Hour, most: time.Minute}).ceiling(1); got != time.Minute {
		t.Errorf("a least above the most: %s", got)
	}
}

func TestErrorsKeepWhatTheyWrap(t *testing.T) {
	boom := errors.New("boom")
	if !errors.Is(Permanent(boom), boom) || !errors.Is(RetryAfter(time.Second, boom), boom) || !errors.Is(Unavailable(time.Second, boom), boom) || Permanent(boom).Error() != "boom" {
		t.Error("an error is lost")
	}
}
