package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/pkg/team"
)

func teamsCommand() *cobra.Command {
	var sample time.Duration
	c := connected(&cobra.Command{
		Use: "teams", Short: "Show how far each team is", Args: cobra.NoArgs,
		Long: `Show how far each team is.

LAG        events that it has not processed, those in flight among them
OLDEST     how long the oldest of them has waited
FLIGHT     given out to its processes
RETRY      failed, and waiting to be tried again
REPLAY     replayed or redriven, and waiting
DEAD       given up
AGAIN      given out a second time because nothing was heard of them
RATE       events processed a second, measured over --sample
DROPPED    when retention drops the oldest, where that is less than a day away`,
		Example: "  sluicectl teams\n  sluicectl teams --sample 0 -o json",
	}, func(ctx context.Context, s *session, _ []string) error {
		all, err := team.Statuses(ctx, s.js, sample)
		if err != nil {
			return err
		}
		return s.showTeams(all)
	})
	c.Flags().DurationVar(&sample, "sample", time.Second, "how long to measure the rate; 0: not at all")
	return c
}

func (s *session) showTeams(all []*team.Status) error {
	if s.json() {
		return object(s.out, append([]*team.Status{}, all...))
	}
	if len(all) == 0 {
		return nothing("no team has started yet")
	}
	var rows [][]any
	for _, t := range all {
		rows = append(rows, []any{t.Team, strings.Join(t.Events, " "), t.Lag, oldest(t), t.InFlight, t.Retrying, t.Replaying, t.Dead, t.Redelivered, rate(t), dropped(t)})
	}
	table(s.out, []string{"TEAM", "EVENTS", "LAG", "OLDEST", "FLIGHT", "RETRY", "REPLAY", "DEAD", "AGAIN", "RATE", "DROPPED"}, rows)
	return nil
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
