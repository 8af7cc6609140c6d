package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/internal/access"
	"github.com/sluicehq/sluice/internal/ops/audit"
	"github.com/sluicehq/sluice/internal/team"
)

// leaving is how a team is removed.
type leaving struct {
	folder         access.Folder
	yes, keepsDead bool
}

func teamsRemoveCommand() *cobra.Command {
	l := &leaving{}
	c := connected(&cobra.Command{
		Use: "remove <team>", Short: "Remove a team that is gone for good, with all that is its own", Args: cobra.ExactArgs(1),
		Long: `Remove a team that is gone for good: its position, its pending events in RETRY and REPLAY, its dead letters, its
account and its credentials. What it did with events stays in the history, for sluicectl trace.

A target of forward is removed as forward-NAME; forward itself with all of its targets.

Stop all processes of the team first: a running one would start again from the oldest event kept.`,
		Example: "  sluicectl team remove pbx\n  sluicectl team remove telesales --keep-dead --yes",
	}, func(ctx context.Context, s *session, args []string) error { return s.removeTeam(ctx, args[0], l) })
	c.ValidArgsFunction = completeFirst(completeTeams)
	folderFlag(c, (*string)(&l.folder))
	c.Flags().BoolVar(&l.yes, "yes", false, "do not ask for confirmation")
	c.Flags().BoolVar(&l.keepsDead, "keep-dead", false, "keep its dead letters, which can be redriven to another team")
	return c
}

func (s *session) removeTeam(ctx context.Context, name string, l *leaving) error {
	account, found, err := l.folder.Team(name)
	if err != nil {
		return err
	}
	durables := []string{name}
	if found {
		durables = account.Durables()
	}
	var parts []*team.Team
	for _, durable := range durables {
		t, err := s.findTeam(ctx, durable)
		if errors.Is(err, team.ErrUnknown) && found { // its place was never made
			continue
		}
		if err != nil {
			return err
		}
		parts = append(parts, t)
	}
	if err := s.askToRemove(ctx, name, parts, found, l); err != nil {
		return err
	}
	return s.did(ctx, &team.Team{Name: name}, audit.TeamRemove, errors.Join(s.removeParts(ctx, parts, l), l.folder.Leave(name)))
}

func (s *session) removeParts(ctx context.Context, parts []*team.Team, l *leaving) error {
	for _, t := range parts {
		if err := t.Remove(ctx, s.js); err != nil {
			return err
		}
		if !l.keepsDead {
			if err := t.DropLetters(ctx, s.js); err != nil {
				return fmt.Errorf("the dead letters of %s: %w", t.Name, err)
			}
		}
	}
	return nil
}

// askToRemove says what would be lost. A team of which something runs is refused.
func (s *session) askToRemove(ctx context.Context, name string, parts []*team.Team, account bool, l *leaving) error {
	var lost string
	for _, part := range parts {
		t, err := s.status(ctx, part.Name)
		if err != nil {
			return err
		}
		if t.Runs || t.State != team.NoProcess && t.State != team.Paused {
			return fmt.Errorf("%s is %s, a process of it runs: stop it first; it would start again with every event that is kept", t.Team, t.State)
		}
		lost += fmt.Sprintf("\n  %s: %s that it has not processed, %d that wait for a retry and %d replayed are not given to it any more; %s",
			t.Team, plural(int(t.Lag), "event"), t.Retrying, t.Replaying, l.letters(t.Dead))
	}
	if account {
		lost += "\n  its account and its credentials"
	}
	return s.confirm(l.yes, "would remove %s for good:%s", name, lost)
}

func (l *leaving) letters(dead uint64) string {
	switch {
	case dead == 0:
		return "it has no dead letters"
	case l.keepsDead:
		return fmt.Sprintf("its dead letters stay: %d in DEAD", dead)
	}
	return fmt.Sprintf("%s are dropped (redrive them first, or use --keep-dead)", plural(int(dead), "dead letter"))
}
