package main

import (
	"net/url"
	"reflect"
	"time"

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
	return worker.Team{Name: teamPrefix + t.Name, Events: t.Events}
}

const teamPrefix = "forward-"

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

// shown is a URL fit for logs: users, passwords and queries may be secrets.
func shown(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "that cannot be understood"
	}
	u.RawQuery, u.Fragment = "", ""
	if u.User != nil {
		u.User = url.User("xxxxx")
	}
	return u.String()
}
