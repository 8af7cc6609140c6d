package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// format writes a value in a unit of Grafana's, as short as it can be read.
func format(value float64, unit string) (string, error) {
	switch unit {
	case "none", "short":
		return short(value), nil
	case "reqps", "ops":
		return short(value) + "/s", nil
	case "percentunit":
		return trim(value*100, 0) + " %", nil
	case "s":
		return duration(value), nil
	}
	return "", fmt.Errorf("the unit %q is not known", unit)
}

// size is from which value on which name stands for how much.
type size struct {
	from, of float64
	name     string
}

var (
	thousands = []size{{1e9, 1e9, " G"}, {1e6, 1e6, " M"}, {1e3, 1e3, " k"}}
	times     = []size{{172800, 86400, " d"}, {7200, 3600, " h"}, {120, 60, " min"}, {1, 1, " s"}, {0.001, 0.001, " ms"}}
)

// short is a count with about three digits.
func short(value float64) string {
	for _, s := range thousands {
		if math.Abs(value) >= s.from {
			return digits(value/s.of) + s.name
		}
	}
	return digits(value)
}

func duration(seconds float64) string {
	for _, s := range times {
		if math.Abs(seconds) >= s.from {
			return digits(seconds/s.of) + s.name
		}
	}
	if seconds == 0 {
		return "0 s"
	}
	return digits(seconds*1e6) + " µs"
}

func digits(value float64) string {
	switch size := math.Abs(value); {
	case size < 1:
		return trim(value, 2)
	case size < 10:
		return trim(value, 1)
	}
	return trim(value, 0)
}

func trim(value float64, digits int) string {
	text := strconv.FormatFloat(value, 'f', digits, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	if text == "-0" {
		return "0"
	}
	return text
}

// ticks are a few round values from 0 up, the last of which is not below most.
func ticks(most float64) (all []float64) {
	if most <= 0 {
		return []float64{0, 1}
	}
	step := math.Pow(10, math.Floor(math.Log10(most/3)))
	for _, factor := range []float64{1, 2, 2.5, 5, 10} {
		if step*factor*4 >= most {
			step *= factor
			break
		}
	}
	for value := 0.0; ; value += step {
		if all = append(all, value); value >= most*0.999 {
			return all
		}
	}
}
