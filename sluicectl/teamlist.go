package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/internal/access"
	"github.com/sluicehq/sluice/internal/team"
)

// seat is a place in the streams, with whose it is.
type seat struct {
	Team    string     `json:"team,omitempty"` // that has the account; empty: nobody's
	Durable string     `json:"durable"`
	Events  []string   `json:"events"`
	State   team.State `json:"state"`
	Lag     uint64     `json:"lag"`
	Dead    uint64     `json:"dead"`
	Made    bool       `json:"made"` // it is there in the streams
}

func teamsListCommand() *cobra.Command {
	var folder string
	c := connected(&cobra.Command{
		Use: "list", Short: "List the teams' accounts and their places in the streams", Args: cobra.NoArgs,
		Long: `List the teams' accounts and their places in the streams.

ACCOUNT    the account that may use the place; none: only who has the operator's credentials can, as before there were
           accounts. A place without an account and without a process may be left of a target that forward has no more.
STATE      as in sluicectl teams; missing: the place is not made yet, see sluicectl team sync`,
		Example: "  sluicectl team list\n  sluicectl team list -o json",
	}, func(ctx context.Context, s *session, _ []string) error {
		return s.listSeats(ctx, access.Folder(folder))
	})
	folderFlag(c, &folder)
	return c
}

func (s *session) listSeats(ctx context.Context, folder access.Folder) error {
	accounts, err := folder.Teams()
	if err != nil {
		return err
	}
	all, err := team.Statuses(ctx, s.js, 0)
	if err != nil {
		return err
	}
	seats := seatsOf(accounts, all)
	switch {
	case len(seats) == 0:
		return s.empty(nothing("no team has an account or has started yet"))
	case s.json():
		return object(s.out, seats)
	}
	var rows [][]any
	var left []string
	for _, p := range seats {
		if p.Team == "" {
			if p.State == team.NoProcess {
				left = append(left, p.Durable)
			}
			p.Team = "none"
		}
		rows = append(rows, []any{p.Durable, p.Team, p.State, strings.Join(p.Events, " "), p.Lag, p.Dead})
	}
	table(s.out, []string{"PLACE", "ACCOUNT", "STATE", "EVENTS", "LAG", "DEAD"}, rows)
	for _, name := range left {
		fmt.Fprintf(s.out, "\n%s has neither an account nor a process: if it is gone for good, `sluicectl team remove %s`\n", name, name)
	}
	return nil
}

const missing team.State = "missing"

// seatsOf are the places that there are, and those that teams lack, by name.
func seatsOf(accounts []access.Team, all []*team.Status) (seats []seat) {
	owner := map[string]string{}
	for _, a := range accounts {
		for _, p := range a.Places {
			owner[p.Durable] = a.Name
			if !slices.ContainsFunc(all, func(t *team.Status) bool { return t.Team == p.Durable }) {
				seats = append(seats, seat{Team: a.Name, Durable: p.Durable, Events: p.Events, State: missing})
			}
		}
	}
	for _, t := range all {
		seats = append(seats, seat{Team: owner[t.Team], Durable: t.Team, Events: t.Events, State: t.State, Lag: t.Lag, Dead: t.Dead, Made: true})
	}
	slices.SortFunc(seats, func(a, b seat) int { return strings.Compare(a.Durable, b.Durable) })
	return seats
}
