package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/internal/ops/audit"
	"github.com/sluicehq/sluice/internal/ops/dead"
	"github.com/sluicehq/sluice/internal/team"
)

// letters is a command that does something to dead letters: to those that are named, or to those that the flags select.
type letters struct {
	dead.Selection
	chosen
	rate float64
}

func (l *letters) flags(c *cobra.Command) {
	letterFlags(c, &l.Selection)
	l.chosen.flags(c, "every dead letter")
	c.ValidArgsFunction = completeLetters
}

func deadRedriveCommand() *cobra.Command {
	var l letters
	c := connected(&cobra.Command{
		Use: "redrive [id or delivery id]…", Short: "Send dead letters back to their teams, with their attempts counted from zero",
		Long: `Send dead letters back to their own teams only. Their attempts are counted from zero again.

A dead letter is removed from DEAD only after its copy is stored in REPLAY. After a crash in between, redrive again:
nothing happens twice. Effects from before the event was dead-lettered are not repeated: the team's inbox knows the
event. The event keeps its history: if it is dead-lettered again, ` + "`dead show`" + ` prints all of it.`,
		Example: "  sluicectl dead redrive 2\n  sluicectl dead redrive --team pbx --reason exhausted --yes\n  sluicectl dead redrive --error 'no such extension' --rate 50 --yes\n  sluicectl dead redrive --all --yes",
	}, func(ctx context.Context, s *session, args []string) error {
		if l.rate < 0 {
			return misused("--rate %g: use dead letters per second, or 0 for no limit", l.rate)
		}
		return l.do(ctx, s, args, audit.DeadRedrive, func(selection dead.Selection, step func(*dead.Letter)) (dead.Result, error) {
			return dead.RedriveAll(ctx, s.js, selection, operator(), l.rate, step)
		})
	})
	l.flags(c)
	c.Flags().Float64Var(&l.rate, "rate", 0, "dead letters per second; 0: no limit")
	return c
}

func deadDropCommand() *cobra.Command {
	var l letters
	c := connected(&cobra.Command{
		Use: "drop [id or delivery id]…", Short: "Remove dead letters for good",
		Example: "  sluicectl dead drop 3 --yes\n  sluicectl dead drop --team pbx --reason permanent --yes",
	}, func(ctx context.Context, s *session, args []string) error {
		return l.do(ctx, s, args, audit.DeadDrop, func(selection dead.Selection, step func(*dead.Letter)) (dead.Result, error) {
			return dead.DropAll(ctx, s.js, selection, operator(), step)
		})
	})
	l.flags(c)
	return c
}

// do counts, asks and acts.
func (l *letters) do(ctx context.Context, s *session, ids []string, action audit.Action, act func(dead.Selection, func(*dead.Letter)) (dead.Result, error)) error {
	selections, err := l.selections(ids)
	if err != nil {
		return err
	}
	count, teams, err := s.countLetters(ctx, selections)
	if err != nil {
		return err
	}
	if count == 0 {
		return s.noLetters(ctx, l.Selection, "no such dead letters")
	}
	verb, to := "drop", "of"
	if action == audit.DeadRedrive {
		verb, to = "redrive", "to"
		s.warnOfTeams(ctx, teams)
	}
	if err := s.confirm(l.yes, "would %s %s %s %s", verb, plural(count, "dead letter"), to, strings.Join(teams, " and ")); err != nil {
		return err
	}
	bar := newBar(s.err, count, verb)
	entry := audit.Entry{Action: action, Teams: teams, What: l.what(ids)}
	defer func() { s.record(ctx, entry) }()
	var total dead.Result
	for _, selection := range selections {
		result, err := act(selection, func(letter *dead.Letter) { entry.Add(fmt.Sprint(letter.Sequence)); _ = bar.Add(1) })
		total.Done, total.Duplicates = total.Done+result.Done, total.Duplicates+result.Duplicates
		s.warnUntold(result.Untold)
		if err != nil {
			entry.Failed(err)
			return fmt.Errorf("%w: %s of %d are done, the rest is unchanged", err, plural(total.Done, "dead letter"), count)
		}
	}
	return s.tellLetters(total, verb)
}

// warnUntold says so where `sluicectl trace` will not know what was done.
func (s *session) warnUntold(err error) {
	if err != nil {
		fmt.Fprintf(s.err, "the history of the events does not know of it: %v\n", err)
	}
}

// what is the selection in words.
func (l *letters) what(ids []string) string {
	var w words
	w.addEach("", ids)
	w.add("team", l.Team)
	w.add("reason", l.Reason)
	w.add("error", l.Error)
	w.add("error like", l.Like)
	w.addEach("event", l.Events)
	return w.or("all")
}

// warnOfTeams says so where nobody reads what is about to be sent.
func (s *session) warnOfTeams(ctx context.Context, names []string) {
	for _, name := range names {
		t, err := team.Find(ctx, s.js, name)
		if err != nil {
			fmt.Fprintf(s.err, "%v; the copies wait in REPLAY for 30 days\n", err)
			continue
		}
		s.warnUnread(ctx, t)
	}
}

func (s *session) tellLetters(r dead.Result, verb string) error {
	if s.json() {
		return object(s.out, r)
	}
	done := map[string]string{"redrive": "redrove", "drop": "dropped"}[verb]
	fmt.Fprintf(s.out, "%s %s", done, plural(r.Done, "dead letter"))
	if r.Duplicates > 0 {
		fmt.Fprintf(s.out, ", %d of them had been sent back before", r.Duplicates)
	}
	if r.Gone > 0 {
		fmt.Fprintf(s.out, "; somebody else removed %d at the same time", r.Gone)
	}
	fmt.Fprintln(s.out)
	return nil
}

func (l *letters) selections(ids []string) ([]dead.Selection, error) {
	if err := checkPatterns(l.Events); err != nil {
		return nil, err
	}
	given := l.Team != "" || l.Reason != "" || l.Error != "" || l.Like != "" || len(l.Events) > 0
	return selections(&l.chosen, ids, l.Selection, given, "--team, --reason, --error, --like, --event", func(sequence uint64, delivery string) dead.Selection {
		one := l.Selection
		one.Sequence, one.Delivery = sequence, delivery
		return one
	})
}

// countLetters counts what is selected, and whose it is.
func (s *session) countLetters(ctx context.Context, selections []dead.Selection) (count int, teams []string, err error) {
	for _, selection := range selections {
		err := dead.Headers(ctx, s.js, selection, func(l *dead.Letter) error {
			count++
			if !slices.Contains(teams, l.Team) {
				teams = append(teams, l.Team)
			}
			return nil
		})
		if err != nil {
			return 0, nil, notFound(err)
		}
	}
	slices.Sort(teams)
	return count, teams, nil
}

// plural counts letters, events and deliveries.
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if stem, found := strings.CutSuffix(what, "y"); found {
		return fmt.Sprintf("%d %sies", n, stem)
	}
	return fmt.Sprintf("%d %ss", n, what)
}
