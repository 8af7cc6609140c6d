package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/internal/ops/failures"
	"github.com/sluicehq/sluice/internal/team"
)

func teamsErrorsCommand() *cobra.Command {
	return onTeam(&cobra.Command{
		Use: "errors <team>", Short: "Show the errors of a team, grouped, and its processes",
		Long: fmt.Sprintf(`Show the errors of a team, grouped, and its processes.

They are those of events that wait for a retry and of dead letters, among the last %d of all teams. Errors that differ in
numbers and ids only are one.`, failures.Looked),
		Example: "  sluicectl teams errors pbx\n  sluicectl teams errors pbx -o json",
	}, func(ctx context.Context, s *session, t *team.Team) error { return s.showErrors(ctx, t) })
}

func (s *session) showErrors(ctx context.Context, t *team.Team) error {
	groups, err := failures.Of(ctx, s.js, t.Name)
	if err != nil {
		return err
	}
	processes, err := team.Processes(ctx, s.js)
	switch {
	case err != nil:
		return err
	case s.json():
		return object(s.out, map[string]any{"team": t.Name, "errors": groups, "processes": processes[t.Name]})
	}
	s.showGroups(t, groups)
	s.showProcesses(processes[t.Name])
	return nil
}

func (s *session) showGroups(t *team.Team, groups []*failures.Group) {
	if len(groups) == 0 {
		fmt.Fprintf(s.out, "no event of %s waits for a retry or is dead-lettered\n", t.Name)
		return
	}
	var rows [][]any
	for _, g := range groups {
		rows = append(rows, []any{g.Retrying, g.Dead, clock(g.First), clock(g.Last), strings.Join(g.Events, " "), g.Delivery, g.Error})
	}
	table(s.out, []string{"RETRY", "DEAD", "FIRST", "LAST", "EVENTS", "DELIVERY", "ERROR"}, rows)
}

func (s *session) showProcesses(processes []*team.Process) {
	if len(processes) == 0 {
		return
	}
	var rows [][]any
	for _, p := range processes {
		rows = append(rows, []any{p.Host, p.PID, p.State, clock(p.Since), fmt.Sprintf("%d of %d", p.Running, p.Slots), clock(p.Said), p.Why})
	}
	fmt.Fprintln(s.out)
	table(s.out, []string{"HOST", "PROCESS", "STATE", "SINCE", "HANDLING", "HEARD OF", "WHY"}, rows)
}
