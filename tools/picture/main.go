// picture draws a dashboard of Grafana as an SVG, with what a Prometheus tells of a time:
//
//	picture -prometheus http://127.0.0.1:9090 -from 1764043200 -to 1764043500 dashboard.json >picture.svg
//
// It knows the panels and units that Sluice's dashboard has, and fails on others. With -empty it fails too where a panel
// that is not named there shows nothing.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "picture:", err)
		os.Exit(1)
	}
}

func run() error {
	address := flag.String("prometheus", "http://127.0.0.1:9090", "address of Prometheus")
	from := flag.Int64("from", 0, "begin, in seconds since 1970")
	to := flag.Int64("to", 0, "end, in seconds since 1970")
	caption := flag.String("caption", "", "sentence below the title")
	empty := flag.String("empty", "", "titles, separated by semicolons, of the panels that may show nothing; unset: all may")
	flag.Parse()
	if flag.NArg() != 1 || *to <= *from {
		return errors.New("name a dashboard, and a time with -from and -to")
	}
	d, err := readDashboard(flag.Arg(0))
	if err != nil {
		return err
	}
	p := &prometheus{address: *address, from: time.Unix(*from, 0), to: time.Unix(*to, 0)}
	if err := d.fill(p); err != nil {
		return err
	}
	if hollow := d.hollow(strings.Split(*empty, ";")); *empty != "" && len(hollow) > 0 {
		return fmt.Errorf("these panels show nothing: %s", strings.Join(hollow, ", "))
	}
	text, err := draw(d, p, *caption)
	if err == nil {
		_, err = os.Stdout.WriteString(text)
	}
	return err
}

// hollow are the titles of panels that show nothing, without those that may.
func (d *dashboard) hollow(may []string) (titles []string) {
	for _, p := range d.Panels {
		if p.Type != "row" && len(p.series) == 0 && !slices.Contains(may, p.Title) {
			titles = append(titles, p.Title)
		}
	}
	return titles
}
