package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/internal/team"
)

func teamsCommand() *cobra.Command {
	var sample, every time.Duration
	var watch bool
	c := connected(&cobra.Command{
		Use: "teams", Aliases: []string{"team"}, Short: "Show how far each team is", Args: cobra.NoArgs,
		Long: `Show how far each team is.

STATE      working; catching up or falling behind (there is a backlog); blocked (its processes wait for something that
           the handler depends on, such as a database); hung (its processes run but finish nothing); paused (by an
           operator); no process
LAG        events that it has not processed, including those in flight
OLDEST     how long the oldest of them has waited
FLIGHT     in flight: given to its processes and not acknowledged
RETRY      failed, and waiting for a retry
REPLAY     replayed or redriven, and pending
DEAD       dead-lettered
AGAIN      redelivered, because they were not acknowledged in time
RATE       events processed a second, measured over --sample
DROPPED    when retention drops the oldest, if that is less than a day away`,
		Example: "  sluicectl teams\n  sluicectl teams --sample 0 -o json",
	}, func(ctx context.Context, s *session, _ []string) error {
		if watch && every < leastEvery {
			return misused("--every %s: use %s or more", every, leastEvery)
		}
		if watch {
			return s.watchTeams(ctx, sample, every)
		}
		return s.listTeams(ctx, sample)
	})
	c.Flags().DurationVar(&sample, "sample", time.Second, "how long to measure the rate; 0: do not measure")
	c.Flags().BoolVarP(&watch, "watch", "w", false, "refresh until Ctrl-C")
	c.Flags().DurationVar(&every, "every", time.Second, "with --watch: time between refreshes")
	c.AddCommand(teamsPauseCommand(), teamsResumeCommand(), teamsErrorsCommand(), teamsAddCommand(), teamsSyncCommand(), teamsListCommand(), teamsRemoveCommand())
	return c
}

func (s *session) listTeams(ctx context.Context, sample time.Duration) error {
	all, err := team.Statuses(ctx, s.js, sample)
	if err != nil {
		return err
	}
	return s.showTeams(all)
}

// leastEvery is between two looks at the teams, which ask NATS a few questions each.
const leastEvery = 10 * time.Millisecond

// home moves to the upper left corner of a terminal and wipes what is below.
const home = "\x1b[H\x1b[J"

// watchTeams shows the teams until ctx ends, which is how it is meant to end. NATS may be away meanwhile.
func (s *session) watchTeams(ctx context.Context, sample, every time.Duration) error {
	for ; ctx.Err() == nil; stream.Pause(ctx, every) {
		var page bytes.Buffer
		once := *s
		once.out = &page
		if err := once.listTeams(ctx, sample); err != nil && ctx.Err() == nil {
			fmt.Fprintln(&page, err)
		}
		if isTerminal(s.out) {
			fmt.Fprint(s.out, home)
		}
		if ctx.Err() == nil {
			fmt.Fprintln(s.out, page.String())
		}
	}
	return nil
}

func (s *session) showTeams(all []*team.Status) error {
	switch {
	case len(all) == 0:
		return s.empty(nothing("no team has started yet"))
	case s.json():
		return object(s.out, all)
	}
	var rows [][]any
	for _, t := range all {
		rows = append(rows, []any{t.Team, state(t), strings.Join(t.Events, " "), t.Lag, oldest(t), t.InFlight, t.Retrying, t.Replaying, t.Dead, t.Redelivered, rate(t), dropped(t)})
	}
	table(s.out, []string{"TEAM", "STATE", "EVENTS", "LAG", "OLDEST", "FLIGHT", "RETRY", "REPLAY", "DEAD", "AGAIN", "RATE", "DROPPED"}, rows)
	before := "\n"
	for _, t := range all {
		if text := condition(t.Team, t.Condition); text != "" {
			fmt.Fprintln(s.out, before+text)
			before = ""
		}
	}
	return nil
}

// state is a team's in a word, or with where its backlog goes.
func state(t *team.Status) string {
	switch t.State {
	case team.CatchingUp:
		return string(t.State) + ", " + t.Why
	case team.FallingBehind:
		return string(t.State) + " " + t.Why
	}
	return string(t.State)
}

// condition says why a team does not work, and what to do, where that is known.
func condition(name string, c team.Condition) string {
	text := name + ": " + string(c.State)
	if c.Since != nil {
		text += " since " + clock(*c.Since)
	}
	why := printable(c.Why)
	switch c.State {
	case team.Paused:
		return text + " " + why + ": `sluicectl teams resume " + name + "` lets it go on"
	case team.Blocked:
		return text + ": " + why + ": nothing is lost and no attempt is used up; repair what its handler depends on"
	case team.Hung:
		return text + ": " + why
	case team.NoProcess:
		if why != "" {
			text += ": " + why
		}
		return text + ": start it; if the team is gone for good, `sluicectl teams remove " + name + "`"
	}
	return ""
}

func oldest(t *team.Status) string {
	if t.Oldest == nil {
		return ""
	}
	return age(*t.Oldest)
}

func rate(t *team.Status) string {
	if t.Rate == nil {
		return ""
	}
	return fmt.Sprintf("%.0f/s", *t.Rate)
}

// dropped says when retention takes what the team has not processed, once that is near.
func dropped(t *team.Status) string {
	if !t.AtRisk() {
		return ""
	}
	return "in " + spell(time.Duration(*t.DroppedIn)*time.Second)
}
