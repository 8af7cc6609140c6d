package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/internal/ops/audit"
)

// record writes down what the operator did. The action is done, or has failed: that it cannot be written down is said,
// and changes nothing.
func (s *session) record(ctx context.Context, e audit.Entry) {
	e.By = operator()
	if err := audit.Record(ctx, s.js, e); err != nil {
		fmt.Fprintf(s.err, "this is not written down in the audit log: %v\n", err)
	}
}

// auditing is `sluicectl audit` with its flags.
type auditing struct {
	audit.Selection
	since string
}

func auditCommand() *cobra.Command {
	a := &auditing{}
	c := connected(&cobra.Command{
		Use: "audit", Short: "Show what operators did: who, when, what, and to how many", Args: cobra.NoArgs,
		Long: `Show what operators did: who, when, what, and to how many. It is kept for 400 days.

Actions are: ` + strings.Join(actions(), ", ") + `.`,
		Example: "  sluicectl audit\n  sluicectl audit --since 24h --action dead.drop\n  sluicectl audit --action replay --team pbx -o json",
	}, func(ctx context.Context, s *session, _ []string) error { return a.do(ctx, s) })
	f := c.Flags()
	f.StringVar(&a.since, "since", "", "only actions since then: "+timeWords)
	f.StringVar(&a.Action, "action", "", "only this action, such as dead.drop, or dead for all actions on dead letters")
	f.StringVar(&a.Team, "team", "", "only actions on this team")
	complete(c, "action", cobra.FixedCompletions(actions(), cobra.ShellCompDirectiveNoFileComp))
	complete(c, "team", completeTeams)
	return c
}

func actions() (names []string) {
	for _, one := range audit.Actions {
		names = append(names, string(one))
	}
	return names
}

func (a *auditing) do(ctx context.Context, s *session) (err error) {
	if a.Since, err = parseTime("since", a.since, time.Now()); err != nil {
		return err
	}
	if a.Action != "" && !audit.ValidAction(a.Action) {
		return misused("--action %q: use %s, or what stands before the dot", a.Action, strings.Join(actions(), ", "))
	}
	var entries []*audit.Entry
	err = audit.Each(ctx, s.js, a.Selection, func(e *audit.Entry) error {
		entries = append(entries, e)
		return nil
	})
	switch {
	case err != nil:
		return err
	case len(entries) == 0:
		return s.empty(nothing("no such action is recorded"))
	case s.json():
		return object(s.out, entries)
	}
	s.showActions(entries)
	return nil
}

func (s *session) showActions(entries []*audit.Entry) {
	var rows [][]any
	for _, e := range entries {
		rows = append(rows, []any{clock(e.At), e.By, e.Action, strings.Join(e.Teams, " "), e.Count, e.What, ids(e), e.Error})
	}
	table(s.out, []string{"WHEN", "BY", "ACTION", "TEAM", "COUNT", "WHAT", "IDS", "ERROR"}, rows)
}

const shownIDs = 5

// ids are the first of what an action was done to.
func ids(e *audit.Entry) string {
	text := strings.Join(e.IDs[:min(shownIDs, len(e.IDs))], " ")
	if e.Count > shownIDs && len(e.IDs) > shownIDs {
		text += " …"
	}
	return text
}
