package team

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// State is what a team does, in a word.
type State string

// The states of a team, and of a process.
const (
	Working       State = "working"
	CatchingUp    State = "catching up"    // there is a backlog, and it shrinks
	FallingBehind State = "falling behind" // more comes in than is processed
	Blocked       State = "blocked"        // its processes wait for something that the handler depends on
	Hung          State = "hung"           // its processes run and get nowhere
	Paused        State = "paused"         // an operator wants it to wait
	NoProcess     State = "no process"     // none of its processes runs, or is heard of
	Stopped       State = "stopped"        // a process that was asked to end
)

// Condition is a team's state, with its reason and its beginning, as far as they are known.
type Condition struct {
	State State      `json:"state"`
	Why   string     `json:"why,omitempty"`
	Since *time.Time `json:"since,omitempty"`
}

// Conditions returns the conditions of teams, by name, as far as they show without measuring rates.
func Conditions(ctx context.Context, js jetstream.JetStream, teams []*Team) (map[string]Condition, error) {
	processes, err := Processes(ctx, js)
	if err != nil {
		return nil, err
	}
	all := map[string]Condition{}
	for _, t := range teams {
		all[t.Name] = t.judge(processes[t.Name])
	}
	return all, nil
}

// judge returns a team's condition, from its durable and the reports of its processes. Processes of older versions do
// not report, and show only when they ask for events.
func (t *Team) judge(processes []*Process) Condition {
	now := t.info.TimeStamp
	if by, since, paused := t.Paused(); paused {
		return Condition{Paused, by, since}
	}
	var alive, hung, blocked []*Process
	for _, p := range processes {
		if !p.Alive(now) {
			continue
		}
		alive = append(alive, p)
		switch p.State {
		case Hung:
			hung = append(hung, p)
		case Blocked:
			blocked = append(blocked, p)
		}
	}
	switch {
	case len(alive) == 0 && t.info.NumWaiting == 0 && (len(processes) > 0 || t.info.NumAckPending == 0):
		return gone(processes)
	case len(hung) > 0:
		return of(Hung, hung, len(alive))
	case len(blocked) > 0:
		return of(Blocked, blocked, len(alive))
	}
	return Condition{State: Working}
}

// runs reports whether a process reported lately, or asks for events.
func (t *Team) runs(processes []*Process) bool {
	return t.info.NumWaiting > 0 || slices.ContainsFunc(processes, func(p *Process) bool { return p.Alive(t.info.TimeStamp) })
}

func gone(processes []*Process) Condition {
	c := Condition{State: NoProcess}
	if len(processes) == 0 {
		return c
	}
	last := processes[0]
	c.Since, c.Why = &last.Said, fmt.Sprintf("nothing is heard of process %d on %s, which is dead or hangs", last.PID, last.Host)
	if last.State == Stopped {
		c.Why = fmt.Sprintf("process %d on %s was stopped", last.PID, last.Host)
	}
	return c
}

// of is the state of some among a team's processes.
func of(state State, some []*Process, all int) Condition {
	c := Condition{State: state, Why: some[0].Why, Since: &some[0].Since}
	if len(some) < all {
		c.Why = fmt.Sprintf("%d of %d processes: %s", len(some), all, c.Why)
	}
	return c
}

const (
	longAtWork   = 5 // seconds of what comes in; a backlog of less is the work at hand
	leastBacklog = 20
)

// move sets whether the backlog grows or shrinks, from two measurements that are seconds apart.
func (s *Status) move(before *Team, after *Team, seconds float64) {
	if s.State != Working || seconds <= 0 {
		return
	}
	net := float64(int64(after.Lag())-int64(before.Lag())) / seconds
	done := float64(settled(after)-settled(before)) / seconds
	if lag := float64(after.Lag()); lag < leastBacklog || lag < longAtWork*(net+done) {
		return
	}
	switch {
	case net > 0:
		s.Condition = Condition{State: FallingBehind, Why: fmt.Sprintf("by %.0f/s", math.Ceil(net))}
	case net < 0:
		left := time.Duration(float64(after.Lag()) / -net * float64(time.Second))
		s.Condition = Condition{State: CatchingUp, Why: fmt.Sprintf("%s left", max(left.Round(time.Second), time.Second))}
	case done == 0 && after.info.NumWaiting == 0 && after.info.NumAckPending == 0:
		s.Condition = Condition{State: Hung, Why: "its processes ask for nothing"}
	}
}
