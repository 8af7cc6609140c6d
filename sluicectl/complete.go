package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/pkg/team"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// complete says what the shell may complete a flag with.
func complete(c *cobra.Command, flag string, with cobra.CompletionFunc) {
	if err := c.RegisterFlagCompletionFunc(flag, with); err != nil {
		panic(err) // a slip in our source: there is no such flag
	}
}

// completeEvents knows the kinds of events that the sender documents.
func completeEvents(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return zorio.Names(), cobra.ShellCompDirectiveNoFileComp
}

// completeTeams asks NATS, if it is there.
func completeTeams(c *cobra.Command, _ []string, _ string) (names []cobra.Completion, _ cobra.ShellCompDirective) {
	s := &session{err: io.Discard}
	s.url, _ = c.Flags().GetString("nats")
	s.creds, _ = c.Flags().GetString("creds")
	ctx, cancel := context.WithTimeout(context.Background(), connectWithin)
	defer cancel()
	if s.open(ctx) != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer s.nc.Close()
	teams, _ := team.All(ctx, s.js) // what cannot be asked is not completed
	for _, t := range teams {
		names = append(names, t.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
