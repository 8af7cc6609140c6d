package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/internal/ops/audit"
	"github.com/sluicehq/sluice/internal/team"
)

// onTeam makes a command that does something to one team.
func onTeam(c *cobra.Command, do func(ctx context.Context, s *session, t *team.Team) error) *cobra.Command {
	c.Args = cobra.ExactArgs(1)
	c = connected(c, func(ctx context.Context, s *session, args []string) error {
		t, err := s.findTeam(ctx, args[0])
		if err != nil {
			return err
		}
		return do(ctx, s, t)
	})
	c.ValidArgsFunction = completeFirst(completeTeams)
	return c
}

func teamsPauseCommand() *cobra.Command {
	var yes bool
	c := onTeam(&cobra.Command{
		Use: "pause <team>", Short: "Pause a team: NATS delivers nothing to it until it is resumed",
		Long: `Pause a team: NATS delivers nothing to it until it is resumed, across restarts.

Its processes finish the events in flight. Other events wait in the stream until retention drops them: see DROPPED in
` + "`sluicectl teams`" + `. It also shows who paused the team, and when; so does /readyz of the team's processes.`,
		Example: "  sluicectl teams pause pbx\n  sluicectl teams pause pbx --yes -o json",
	}, func(ctx context.Context, s *session, t *team.Team) error {
		if err := s.confirm(yes, "would pause %s: its events wait until `sluicectl teams resume %s`", t.Name, t.Name); err != nil {
			return err
		}
		return s.did(ctx, t, audit.TeamPause, t.Pause(ctx, s.js, operator(), time.Now()))
	})
	c.Flags().BoolVar(&yes, "yes", false, "do not ask for confirmation")
	return c
}

func teamsResumeCommand() *cobra.Command {
	return onTeam(&cobra.Command{
		Use: "resume <team>", Short: "Resume a paused team where it was",
		Example: "  sluicectl teams resume pbx",
	}, func(ctx context.Context, s *session, t *team.Team) error {
		before, err := s.status(ctx, t.Name)
		if err != nil {
			return err
		}
		err = t.Resume(ctx, s.js)
		if err == nil && before.State != team.Paused { // nothing was done that is to be written down
			return s.say(t, "not paused")
		}
		return s.did(ctx, t, audit.TeamResume, err)
	})
}

// status is how one team is.
func (s *session) status(ctx context.Context, name string) (*team.Status, error) {
	all, err := team.Statuses(ctx, s.js, 0)
	if err != nil {
		return nil, err
	}
	for _, t := range all {
		if t.Team == name {
			return t, nil
		}
	}
	return nil, nothing("there is no team %s any more", name)
}

// findTeam is [team.Find], where a team that is not there is nothing found.
func (s *session) findTeam(ctx context.Context, name string) (*team.Team, error) {
	t, err := team.Find(ctx, s.js, name)
	if errors.Is(err, team.ErrUnknown) {
		return nil, alias{err, errNothing}
	}
	return t, err
}

// did writes down and says what was done to a team, or how it failed: half-way, perhaps.
func (s *session) did(ctx context.Context, t *team.Team, action audit.Action, failed error) error {
	e := audit.Entry{Action: action, Teams: []string{t.Name}, Count: 1}
	e.Failed(failed)
	s.record(ctx, e)
	_, verb, _ := strings.Cut(string(action), ".")
	if failed != nil {
		return fmt.Errorf("%s %s: %w: do it again", verb, t.Name, failed)
	}
	done := map[audit.Action]string{audit.TeamPause: "paused", audit.TeamResume: "resumed", audit.TeamRemove: "removed"}[action]
	return s.say(t, done)
}

func (s *session) say(t *team.Team, done string) error {
	if s.json() {
		return object(s.out, map[string]string{"team": t.Name, "done": done})
	}
	fmt.Fprintf(s.out, "%s is %s\n", t.Name, done)
	return nil
}
