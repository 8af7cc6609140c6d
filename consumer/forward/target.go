package main

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/sluicehq/sluice/internal/mask"
	"github.com/sluicehq/sluice/internal/team"
	"github.com/sluicehq/sluice/pkg/worker"
)

// target is a receiver as the file describes it. What is zero is as for any consumer.
type target struct {
	Name         string
	URL          string
	Secret       string
	Events       []string // patterns of event names; none means every event
	Concurrency  int
	Timeout      time.Duration // of one request, to the end of its answer
	Attempts     int
	AllowPrivate bool   // addresses that are not of the internet
	Proxy        string // empty: none, whatever the environment says
}

// defaultTimeout is what Zorio gives a receiver.
const defaultTimeout = 5 * time.Second

func newTarget() target { return target{Timeout: defaultTimeout, AllowPrivate: true} }

func (t *target) equal(other *target) bool { return reflect.DeepEqual(t, other) }

// team names the durable consumers of the target. Each has its own, so that none waits for another.
func (t *target) team() worker.Team {
	return worker.Team{Name: team.TargetPrefix + t.Name, Events: t.Events}
}

// stopMargin is how much longer than a request a worker's attempt may take: so it is the request that ends, with an
// error that says so. It is longer than the grace of a stop, which giveBack waits for.
const stopMargin = 10 * time.Second

// settings are those of the target's worker.
func (t *target) settings(s worker.Settings) worker.Settings {
	if t.Concurrency > 0 {
		s.Concurrency = t.Concurrency
	}
	if t.Attempts > 0 {
		s.Attempts = t.Attempts
	}
	s.Timeout += stopMargin
	return s
}

// line tells of a target what it is to do, fit for logs, its parts separated by tabs.
func (t *target) line() string {
	events := strings.Join(t.Events, " ")
	if events == "" {
		events = "every event"
	}
	more := []string{"timeout " + t.Timeout.String()}
	if t.Concurrency > 0 {
		more = append(more, fmt.Sprint("concurrency ", t.Concurrency))
	}
	if t.Attempts > 0 {
		more = append(more, fmt.Sprint("attempts ", t.Attempts))
	}
	if !t.AllowPrivate {
		more = append(more, "no private addresses")
	}
	if t.Proxy != "" {
		more = append(more, "proxy "+mask.Address(t.Proxy))
	}
	return fmt.Sprintf("target %s\t%s\t%s\tsecret (%d characters)\t%s", t.Name, mask.Address(t.URL), events, len(t.Secret), strings.Join(more, ", "))
}
