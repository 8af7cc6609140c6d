package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/sync/errgroup"

	"github.com/sluicehq/sluice/internal/ops/send"
)

// lanes bounds how many requests are under way at once.
const lanes = 64

// load sends many deliveries and says what was answered.
func (s *sender) load(ctx context.Context, names []string) error {
	for _, name := range names {
		if _, err := s.newDelivery(name); err != nil {
			return err
		}
	}
	account := &account{answers: map[string]int{}, bar: newBar(s.err, s.count, "send")}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(lanes)
	begin := time.Now()
	for n := 0; n < s.count && s.pace(ctx, begin, n); n++ {
		group.Go(func() error {
			d, err := s.newDelivery(names[n%len(names)])
			if err != nil {
				return err
			}
			answer, took, err := s.post(ctx, d)
			if err == nil {
				account.add(answer, took)
			}
			return err
		})
	}
	err := group.Wait()
	_ = account.bar.Finish()
	fmt.Fprintln(s.out, account.summary(time.Since(begin)))
	if s.bodyFile != "" {
		fmt.Fprintln(s.out, "all had the same bytes: of those a gateway makes at most SLUICE_MAX_COPIES events in half an hour, the rest is in quarantine")
	}
	if err != nil {
		return err
	}
	return account.taken()
}

// pace waits until it is delivery n's turn; false when the command is stopped.
func (s *sender) pace(ctx context.Context, begin time.Time, n int) bool {
	if s.rate <= 0 {
		return ctx.Err() == nil
	}
	turn := begin.Add(time.Duration(float64(n) / s.rate * float64(time.Second)))
	select {
	case <-ctx.Done():
		return false
	case <-time.After(time.Until(turn)):
		return true
	}
}

type account struct {
	mu      sync.Mutex
	answers map[string]int
	times   []time.Duration
	bar     *progressbar.ProgressBar
}

func (a *account) add(answer string, took time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answers[answer]++
	a.times = append(a.times, took)
	_ = a.bar.Add(1) // a bar that cannot be drawn stops nothing
}

// taken is what is to be said about the first kind of answer that is not 200.
func (a *account) taken() error {
	for _, answer := range slices.Sorted(maps.Keys(a.answers)) {
		if err := send.Taken(answer); err != nil {
			return err
		}
	}
	return nil
}

func (a *account) summary(took time.Duration) string {
	if len(a.times) == 0 {
		return "nothing was answered"
	}
	slices.Sort(a.times)
	at := func(part float64) string { return milliseconds(a.times[int(part*float64(len(a.times)-1))]) }
	text := fmt.Sprintf("%d answered in %s, %.0f a second; half within %s, 99 %% within %s", len(a.times), took.Round(time.Millisecond),
		float64(len(a.times))/took.Seconds(), at(0.5), at(0.99))
	for _, answer := range slices.Sorted(maps.Keys(a.answers)) {
		text += fmt.Sprintf("\n  %s: %d", answer, a.answers[answer])
	}
	return text
}
