package main

import (
	"bytes"
	"fmt"
	"os"
	"time"

	"github.com/sluicehq/sluice/pkg/zorio"
)

// floodConnections is from how many connections requests with a wrong signature come.
const (
	floodConnections = 64
	honestRate       = 200 // deliveries a second beside them
	honestSpread     = 8   // connections
)

// flood measures what strangers who sign with the wrong secret cost: how many are refused a second, beside fasthttp's static
// answer, and how an honest sender fares meanwhile.
func (b *bench) flood() error {
	if err := b.receiver("fasthttp, static answer", "static"); err != nil {
		return err
	}
	alone, err := b.embedded()
	if err != nil {
		return err
	}
	b.subjects = append(b.subjects, alone)
	time.Sleep(warmUp)
	var rates [2][]round
	var kept []round
	var waits [][]time.Duration
	for i := range rounds {
		for which, s := range b.subjects {
			count, err := loadOf(s.address, floodConnections, window, s == alone)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			rates[which] = append(rates[which], round{rate: float64(count) / window.Seconds()})
		}
		honest, err := honestBeside(alone.address)
		if err != nil {
			return err
		}
		kept, waits = append(kept, round{rate: float64(len(honest)) / window.Seconds()}), append(waits, honest)
		fmt.Fprintf(os.Stderr, "round %d of %d, a flood\n", i+1, rounds)
	}
	rate := func(r round) float64 { return r.rate }
	static, refused := median(rates[0], rate), median(rates[1], rate)
	fmt.Printf("\nA flood of wrong signatures on %d connections: %.0f refusals a second, %.2f of fasthttp's static answer (%.0f)\n", floodConnections, refused, refused/static, static)
	fmt.Printf("an honest sender of %d a second beside it: %.0f answered 200 a second, p50 %s, p99 %s\n", honestRate, median(kept, rate), spreadOf(waits, 0.5), spreadOf(waits, 0.99))
	return nil
}

// honestBeside is how long the answers of an honest sender take while the flood goes on.
func honestBeside(address string) ([]time.Duration, error) {
	flooded := make(chan error, 1)
	go func() {
		_, err := loadOf(address, floodConnections, window+warmUp, true)
		flooded <- err
	}()
	honest, err := paced(address, honestRate, honestSpread, window)
	if failed := <-flooded; err == nil {
		err = failed
	}
	return honest, err
}

// forge gives a request another signature.
func forge(request []byte) {
	at := bytes.Index(request, []byte(zorio.HeaderSignature+": ")) + len(zorio.HeaderSignature+": ")
	copy(request[at:], "0000000000000000")
}
