package main

import (
	"bufio"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// spilling is a gateway whose NATS is away: the journal takes everything.
type spilling struct {
	hub     *hub
	address string
}

// spills starts it, and takes its NATS away.
func (b *bench) spills() error {
	h, err := b.gateway("Sluice, Redis, NATS away: the journal", "sync_interval: always")
	if err != nil {
		return err
	}
	s := b.subjects[len(b.subjects)-1]
	if _, err := load(s.address, 1, warmUp); err != nil {
		return err
	}
	if err := h.process.Process.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	_ = h.process.Wait()
	b.spilling = &spilling{h, s.address}
	return nil
}

// drain measures how fast what was spilled goes to a synced NATS that is back, beside 200 deliveries a second.
func (b *bench) drain() error {
	admin := b.spilling.hub.admin
	kept, err := journalled(admin)
	if err != nil {
		return err
	}
	if err := b.startHub(b.spilling.hub); err != nil {
		return err
	}
	stop := make(chan struct{})
	live := make(chan error, 1)
	go func() { live <- steady(b.spilling.address, 200, stop) }()
	begin := time.Now()
	for left := kept; left > 0; time.Sleep(20 * time.Millisecond) {
		if left, err = journalled(admin); err != nil {
			return err
		}
	}
	took := time.Since(begin)
	close(stop)
	fmt.Printf("\n%.0f deliveries went from the journal to a NATS with sync always within %s, beside 200 live ones a second: %.0f a second\n", kept, took.Round(time.Millisecond), kept/took.Seconds())
	return <-live
}

// steady sends so many deliveries a second on one connection until stop is closed.
func steady(address string, rate int, stop <-chan struct{}) error {
	s, err := newSender(address, 1, false)
	if err != nil {
		return err
	}
	defer s.close()
	for tick := time.NewTicker(time.Second / time.Duration(rate)); ; {
		select {
		case <-tick.C:
			if _, err := s.run(time.Now()); err != nil {
				return err
			}
		case <-stop:
			tick.Stop()
			return nil
		}
	}
}

// drained waits until what a gateway has kept in its journal is in NATS.
func (s *subject) drained() error {
	for s.admin != "" {
		left, err := journalled(s.admin)
		if err != nil || left == 0 {
			return err
		}
		time.Sleep(20 * time.Millisecond) // each look costs the gateway some milliseconds of CPU
	}
	return nil
}

// journalled is how many deliveries lie in a gateway's journal.
func journalled(admin string) (float64, error) {
	answer, err := http.Get("http://" + admin + "/metrics")
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		if text, found := strings.CutPrefix(lines.Text(), "sluice_journal_deliveries "); found {
			return strconv.ParseFloat(text, 64)
		}
	}
	return 0, fmt.Errorf("%s tells nothing of a journal", admin)
}
