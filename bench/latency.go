package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// Latency is measured at a steady rate: each connection has its own times to send at, and a wait begins at that time, even
// where the answer before it was late.
const (
	latencyRate   = 2000 // deliveries a second
	latencySpread = 64   // connections
	latencyWindow = 6 * time.Second
)

// latency prints the waits of the static floor, and of the gateway with an embedded NATS and with one beside it.
func (b *bench) latency() error {
	if err := b.receiver("fasthttp, static answer", "static"); err != nil {
		return err
	}
	if _, err := b.gateway("Sluice, Redis, NATS with default sync", ""); err != nil {
		return err
	}
	alone, err := b.embedded()
	if err != nil {
		return err
	}
	b.subjects = append(b.subjects, alone)
	time.Sleep(warmUp)
	waits := map[*subject][][]time.Duration{}
	for i := range rounds {
		for _, s := range b.subjects {
			sorted, err := paced(s.address, latencyRate, latencySpread, latencyWindow)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			waits[s] = append(waits[s], sorted)
			fmt.Fprintf(os.Stderr, "round %d of %d, a steady %d a second, %s\n", i+1, rounds, latencyRate, s.name)
		}
	}
	fmt.Printf("\nA steady %d deliveries a second on %d connections: how long an answer takes, medians of %d rounds (least to most)\n%-42s %26s %26s %26s\n", latencyRate, latencySpread, rounds, "", "p50", "p99", "p99.9")
	for _, s := range b.subjects {
		fmt.Printf("%-42s", s.name)
		for _, part := range []float64{0.5, 0.99, 0.999} {
			fmt.Printf(" %26s", spreadOf(waits[s], part))
		}
		fmt.Println()
	}
	return nil
}

// receiver starts one of the receivers that the gateway is compared with.
func (b *bench) receiver(name, role string) error {
	address := free()
	c, err := b.run(address, nil, filepath.Clean(os.Args[0]), role, address)
	if err == nil {
		b.measured(name, address, c)
	}
	return err
}

// spreadOf is the median of a percentile over all rounds, with the least and the most.
func spreadOf(rounds [][]time.Duration, part float64) string {
	var all []time.Duration
	for _, sorted := range rounds {
		all = append(all, percentile(sorted, part))
	}
	slices.Sort(all)
	return fmt.Sprintf("%s (%s to %s)", milliseconds(all[len(all)/2]), milliseconds(all[0]), milliseconds(all[len(all)-1]))
}

func percentile(sorted []time.Duration, part float64) time.Duration {
	return sorted[min(len(sorted)-1, int(part*float64(len(sorted))))]
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(d.Microseconds())/1000)
}

// paced sends at a rate, spread over connections, and returns how long each answer took, sorted.
func paced(address string, rate, conns int, d time.Duration) ([]time.Duration, error) {
	var all errgroup.Group
	each := time.Duration(conns) * time.Second / time.Duration(rate)
	waits, begin := make([][]time.Duration, conns), time.Now().Add(50*time.Millisecond)
	for i := range conns {
		all.Go(func() (err error) {
			waits[i], err = pacedOn(address, begin.Add(each*time.Duration(i)/time.Duration(conns)), each, begin.Add(d))
			return err
		})
	}
	err := all.Wait()
	sorted := slices.Concat(waits...)
	slices.Sort(sorted)
	return sorted, err
}

// pacedOn sends on one connection, from a time on and then at equal distances.
func pacedOn(address string, at time.Time, each time.Duration, end time.Time) (waits []time.Duration, err error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	c := &connection{request: request(address)}
	c.counter = counterOf(c.request)
	for ; at.Before(end); at = at.Add(each) {
		time.Sleep(time.Until(at))
		c.count()
		if err := exchange(conn, c.request); err != nil {
			return nil, err
		}
		waits = append(waits, time.Since(at))
	}
	return waits, nil
}
