package main

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/internal/ops/dead"
	"github.com/sluicehq/sluice/pkg/event"
)

func deadCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "dead", Short: "List, redrive and drop dead letters: events that teams gave up on", Args: cobra.NoArgs,
		Example: "  sluicectl dead list\n  sluicectl dead redrive --team pbx --reason exhausted",
	}
	c.AddCommand(deadListCommand(), deadShowCommand(), deadRedriveCommand(), deadDropCommand())
	return c
}

// letterFlags are the flags that select dead letters.
func letterFlags(c *cobra.Command, s *dead.Selection) {
	c.Flags().StringVar(&s.Team, "team", "", "only dead letters of this team")
	c.Flags().StringVar(&s.Reason, "reason", "", "only with this reason: permanent (the handler said that a retry is useless) or exhausted (all attempts failed)")
	c.Flags().StringArrayVar(&s.Events, "event", nil, "only events of this name or pattern, such as pbx.call.* or pbx.>; may be repeated")
	c.Flags().StringVar(&s.Error, "error", "", "only with this text in the last error, in upper or lower case")
	c.Flags().StringVar(&s.Like, "like", "", "only with an error like this one, as the list counts them: numbers, ids and quoted text may differ")
	complete(c, "team", completeTeams)
	complete(c, "reason", cobra.FixedCompletions(event.Reasons, cobra.ShellCompDirectiveNoFileComp))
	complete(c, "event", completeEvents)
}

func deadListCommand() *cobra.Command {
	var selection dead.Selection
	var each bool
	c := connected(&cobra.Command{
		Use: "list", Short: "Count dead letters by team, event, reason and error, or list each", Args: cobra.NoArgs,
		Example: "  sluicectl dead list\n  sluicectl dead list --team pbx --each\n  sluicectl dead list -o json",
	}, func(ctx context.Context, s *session, _ []string) error {
		if err := checkPatterns(selection.Events); err != nil {
			return err
		}
		if each {
			return s.listLetters(ctx, selection)
		}
		return s.listGroups(ctx, selection)
	})
	letterFlags(c, &selection)
	c.Flags().BoolVar(&each, "each", false, "list each dead letter, with its id")
	return c
}

func (s *session) listGroups(ctx context.Context, selection dead.Selection) error {
	groups, err := dead.Groups(ctx, s.js, selection)
	if err != nil {
		return err
	}
	if len(groups) == 0 {
		return s.empty(s.noLetters(ctx, selection, "no dead letters"))
	}
	if s.json() {
		return object(s.out, groups)
	}
	var rows [][]any
	for _, g := range groups {
		rows = append(rows, []any{g.Team, g.Event, g.Reason, g.Count, clock(g.First), clock(g.Last), g.Error})
	}
	table(s.out, []string{"TEAM", "EVENT", "REASON", "COUNT", "FIRST", "LAST", "LAST ERROR"}, rows)
	return nil
}

func (s *session) listLetters(ctx context.Context, selection dead.Selection) error {
	var letters []letterJSON
	var rows [][]any
	err := dead.Headers(ctx, s.js, selection, func(l *dead.Letter) error {
		letters = append(letters, newLetterJSON(l))
		rows = append(rows, []any{l.Sequence, l.Team, l.Name, l.Delivery, l.Reason, l.Attempt, clock(l.Failed), l.Error})
		return nil
	})
	switch {
	case err != nil:
		return err
	case len(rows) == 0:
		return s.empty(s.noLetters(ctx, selection, "no dead letters"))
	case s.json():
		return object(s.out, letters)
	}
	table(s.out, []string{"ID", "TEAM", "EVENT", "DELIVERY", "REASON", "ATTEMPTS", "DEAD SINCE", "LAST ERROR"}, rows)
	return nil
}

// noLetters says why nothing was found: no such letters, or no such team or reason.
func (s *session) noLetters(ctx context.Context, selection dead.Selection, otherwise string) error {
	if selection.Team != "" {
		if _, err := s.findTeam(ctx, selection.Team); err != nil {
			return unknown(err)
		}
	}
	if selection.Reason != "" && !slices.Contains(event.Reasons, selection.Reason) {
		return unknown(nothing("no dead letter has the reason %q: use %s", selection.Reason, oneOf(event.Reasons)))
	}
	return nothing("%s", otherwise)
}
