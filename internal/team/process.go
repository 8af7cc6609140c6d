package team

import (
	"context"
	"crypto/rand"
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

// How often a process says how it is, and how long nothing is heard of one that is dead or hangs before it counts as one.
const (
	sayEvery    = 5 * time.Second
	sayWithin   = 2 * time.Second
	sayAgain    = time.Minute // after NATS refused: it may be a permission that is not there
	silentAfter = 20 * time.Second
)

// Report publishes the state of a process of a team every few seconds until ctx ends, and then that it has stopped. It
// serves only to show the state: while NATS is away or does not permit it, nothing is published, and that is no error.
func Report(ctx context.Context, js jetstream.JetStream, team string, state func() Process) {
	host, _ := os.Hostname() // one that has no name is known by its number
	subject := processes + team + "." + rand.Text()
	say := func(ctx context.Context, p Process) error {
		p.Team, p.Host, p.PID = team, host, os.Getpid()
		ctx, cancel := context.WithTimeout(ctx, sayWithin)
		defer cancel()
		text, err := json.Marshal(p)
		if err == nil {
			_, err = js.Publish(ctx, subject, text)
		}
		return err
	}
	for ctx.Err() == nil {
		pause := sayEvery
		if say(ctx, state()) != nil && js.Conn().IsConnected() {
			pause = sayAgain
		}
		stream.Pause(ctx, pause)
	}
	if js.Conn().IsConnected() {
		_ = say(context.WithoutCancel(ctx), Process{State: Stopped, Since: time.Now()})
	}
}

const processes = "$KV." + stream.Processes + "."

// Processes returns the processes that reported within the last hour, by team, the latest report first.
func Processes(ctx context.Context, js jetstream.JetStream) (map[string][]*Process, error) {
	all := map[string][]*Process{}
	err := stream.Scan(ctx, js, "KV_"+stream.Processes, processes+">", func(m *jetstream.RawStreamMsg) error {
		p := &Process{}
		if json.Unmarshal(m.Data, p) != nil { // somebody else's
			return nil
		}
		p.Team, p.Said = strings.Split(strings.TrimPrefix(m.Subject, processes), ".")[0], m.Time.UTC()
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

// alive reports whether a process reported lately, and has not stopped.
func (p *Process) alive(now time.Time) bool {
	return p.State != Stopped && now.Sub(p.Said) < silentAfter
}
