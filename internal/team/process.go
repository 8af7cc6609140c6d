package team

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/stream"
)

// Process is one of a team's processes, by what it said last.
type Process struct {
	Team    string    `json:"team"`
	Host    string    `json:"host"`
	PID     int       `json:"pid"`
	State   State     `json:"state"`         // Working, Blocked, Hung or Stopped
	Why     string    `json:"why,omitempty"` // it does not work
	Since   time.Time `json:"since"`         // it is in that state
	Running int       `json:"running"`       // events being handled
	Slots   int       `json:"slots"`         // events that it may handle at once
	Said    time.Time `json:"said"`          // by the clock of NATS
}

// silentAfter is how long nothing is heard of a process that is dead or hangs before it counts as one.
const silentAfter = 20 * time.Second

// Report publishes the state of a process of a team every few seconds until ctx ends, and then that it has stopped. It
// serves only to show the state: while NATS is away or does not permit it, nothing is published, and that is no error.
func Report(ctx context.Context, js jetstream.JetStream, team string, state func() Process) {
	host, _ := os.Hostname() // one that has no name is known by its number
	stream.Tell(ctx, js, team, func(ending bool) any {
		p := Process{State: Stopped, Since: time.Now()}
		if !ending {
			p = state()
		}
		p.Team, p.Host, p.PID = team, host, os.Getpid()
		return p
	})
}

// Processes returns the processes that reported within the last hour, by team, the latest report first.
func Processes(ctx context.Context, js jetstream.JetStream) (map[string][]*Process, error) {
	all := map[string][]*Process{}
	err := stream.Scan(ctx, js, "KV_"+stream.Processes, stream.Told+">", func(m *jetstream.RawStreamMsg) error {
		p, of := &Process{}, strings.Split(strings.TrimPrefix(m.Subject, stream.Told), ".")[0]
		if of == gateways || json.Unmarshal(m.Data, p) != nil { // somebody else's
			return nil
		}
		p.Team, p.Said = of, m.Time.UTC()
		all[p.Team] = append(all[p.Team], p)
		return nil
	})
	if errors.Is(err, jetstream.ErrStreamNotFound) { // the gateway is of an older version
		return nil, nil
	}
	for _, of := range all {
		slices.SortStableFunc(of, func(a, b *Process) int { return b.Said.Compare(a.Said) })
	}
	return all, err
}

// Alive reports whether a process reported lately, and has not stopped.
func (p *Process) Alive(now time.Time) bool {
	return p.State != Stopped && now.Sub(p.Said) < silentAfter
}
