// The bench measures, in one run and on the same machine, how many deliveries a second the gateway takes beside others:
// fasthttp that answers without looking, which is the floor; a net/http receiver that verifies the HMAC and logs what it
// was sent; and a plain one that also reads the JSON, which is what people write first. Every number that matters is a
// ratio to the plain receiver: the machine's own speed is in all of them.
package main

import (
	"context"
	"fmt"
	"log"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/sluicehq/sluice/pkg/telemetry"
)

const (
	secret = "0123456789abcdefghijABCDEFGHIJ01"
	rounds = 5 // the median counts; servers take turns, so that a slow moment hits all alike
	warmUp = 500 * time.Millisecond
	window = 2 * time.Second
)

var connections = []int{64, 512}

// subject is a server that is measured, with those that it needs.
type subject struct {
	name    string
	address string
	pids    []int           // itself, and where it has them its Redis and its NATS
	admin   string          // of a gateway whose journal must be empty again before a round is over; empty where that is nothing
	hub     []string        // settings of a consumer of its embedded NATS; none where it has none
	rounds  map[int][]round // by connections
}

// round is one measurement.
type round struct {
	rate float64   // deliveries a second
	cpu  []float64 // microseconds a delivery: the load itself, the subject, Redis, NATS
}

func main() {
	if len(os.Args) == 3 {
		serveAs(os.Args[1], os.Args[2])
		return
	}
	if err := measure(telemetry.StopContext()); err != nil {
		log.Fatal(err)
	}
}

func measure(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "sluice-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b := &bench{dir: dir}
	defer b.stop()
	if err := b.build(); err != nil {
		return err
	}
	if len(os.Args) == 2 { // that part alone
		return b.part(os.Args[1])
	}
	if err := b.start(); err != nil {
		return err
	}
	for i := range rounds {
		for _, conns := range connections {
			for _, s := range b.subjects {
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := s.round(conns); err != nil {
					return fmt.Errorf("%s: %w", s.name, err)
				}
				fmt.Fprintf(os.Stderr, "round %d of %d, %d connections, %s\n", i+1, rounds, conns, s.name)
			}
		}
	}
	b.report()
	if err := b.https(); err != nil {
		return err
	}
	return b.drain()
}

// part measures one thing alone.
func (b *bench) part(name string) error {
	parts := map[string]func() error{"https": b.https, "latency": b.latency, "flood": b.flood, "memory": b.memory}
	part, there := parts[name]
	if !there {
		return fmt.Errorf("no part %q: use one of %s, or none for the comparison", name, slices.Sorted(maps.Keys(parts)))
	}
	return part()
}

// round measures one server once.
func (s *subject) round(conns int) error {
	if _, err := load(s.address, conns, warmUp); err != nil {
		return err
	}
	before, begin := s.used(), time.Now()
	count, err := load(s.address, conns, window)
	if err != nil {
		return err
	}
	if err := s.drained(); err != nil {
		return err
	}
	took, r := time.Since(begin), round{}
	r.rate = float64(count) / took.Seconds()
	for i, used := range s.used() {
		r.cpu = append(r.cpu, float64((used-before[i]).Microseconds())/float64(count))
	}
	s.rounds[conns] = append(s.rounds[conns], r)
	return nil
}

// used is the CPU time of the load itself and of each process.
func (s *subject) used() []time.Duration {
	all := []time.Duration{cpuTime(os.Getpid())}
	for _, pid := range s.pids {
		all = append(all, cpuTime(pid))
	}
	return all
}

// report prints two ratios to the plain receiver: of rates, and of all the CPU that a delivery costs, which other work
// on the machine disturbs less.
func (b *bench) report() {
	plain := b.subjects[2]
	for _, conns := range connections {
		fmt.Printf("\n%d connections, bodies of %d bytes\n%-42s %12s %6s   %s\n%-42s %12s %6s   %8s %6s %6s %6s %6s %6s\n", conns, bodySize,
			"", "", "", "microseconds of CPU a delivery", "", "deliveries/s", "ratio", "receiver", "Redis", "NATS", "load", "all", "ratio")
		for _, s := range b.subjects {
			fmt.Printf("%-42s %12.0f %6.2f  ", s.name, s.rate(conns), s.rate(conns)/plain.rate(conns))
			fmt.Printf(" %8.1f %6.1f %6.1f %6.1f", s.cpu(conns, 1), s.cpu(conns, 2), s.cpu(conns, 3), s.cpu(conns, 0))
			fmt.Printf(" %6.1f %6.2f\n", s.allCPU(conns), plain.allCPU(conns)/s.allCPU(conns))
		}
	}
}

func (s *subject) rate(conns int) float64 {
	return median(s.rounds[conns], func(r round) float64 { return r.rate })
}

// cpu is 0 for a process that the subject does not have.
func (s *subject) cpu(conns, process int) float64 {
	if process > len(s.pids) {
		return 0
	}
	return median(s.rounds[conns], func(r round) float64 { return r.cpu[process] })
}

func (s *subject) allCPU(conns int) (all float64) {
	for process := range len(s.pids) + 1 {
		all += s.cpu(conns, process)
	}
	return all
}

func median(all []round, of func(round) float64) float64 {
	var values []float64
	for _, r := range all {
		values = append(values, of(r))
	}
	slices.Sort(values)
	return values[len(values)/2]
}
