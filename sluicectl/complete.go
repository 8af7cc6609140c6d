package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/internal/ops/dead"
	"github.com/sluicehq/sluice/internal/ops/quarantine"
	"github.com/sluicehq/sluice/internal/ops/replay"
	"github.com/sluicehq/sluice/internal/team"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// complete says what the shell may complete a flag with.
func complete(c *cobra.Command, flag string, with cobra.CompletionFunc) {
	if err := c.RegisterFlagCompletionFunc(flag, with); err != nil {
		panic(err) // a slip in our source: there is no such flag
	}
}

// completeFiles completes flags with names of files.
func completeFiles(c *cobra.Command, flags ...string) {
	for _, flag := range flags {
		complete(c, flag, cobra.FixedCompletions(nil, cobra.ShellCompDirectiveDefault))
	}
}

// completeEvents knows the kinds of events that the sender documents.
func completeEvents(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return zorio.Names(), cobra.ShellCompDirectiveNoFileComp
}

// fromNATS completes with what it finds in NATS, if that is there.
func fromNATS(find func(ctx context.Context, s *session, found func(value, about string))) cobra.CompletionFunc {
	return func(c *cobra.Command, _ []string, _ string) (all []cobra.Completion, _ cobra.ShellCompDirective) {
		s := &session{err: io.Discard}
		s.url, _ = c.Flags().GetString("nats")
		s.creds, _ = c.Flags().GetString("creds")
		ctx, cancel := context.WithTimeout(context.Background(), connectWithin)
		defer cancel()
		if s.open(ctx) != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer s.nc.Close()
		find(ctx, s, func(value, about string) {
			all = append(all, cobra.CompletionWithDesc(printable(value), printable(about)))
		})
		return all, cobra.ShellCompDirectiveNoFileComp
	}
}

// What cannot be asked is not completed: the errors of these are of no use to a shell.
var (
	completeTeams = fromNATS(func(ctx context.Context, s *session, found func(value, about string)) {
		teams, _ := team.All(ctx, s.js)
		for _, t := range teams {
			found(t.Name, strings.Join(t.Events, " "))
		}
	})
	completeReplays = fromNATS(func(ctx context.Context, s *session, found func(value, about string)) {
		journal, err := replay.OpenJournal(ctx, s.js)
		if err != nil {
			return
		}
		entries, _ := journal.List(ctx)
		for _, e := range entries {
			if e.State != replay.Done {
				found(e.ID, fmt.Sprintf("%s, to %s, %d/%d", e.State, e.Target(), e.Progress.Settled(), e.Events))
			}
		}
	})
	completeLetters = fromNATS(func(ctx context.Context, s *session, found func(value, about string)) {
		_ = dead.Headers(ctx, s.js, dead.Selection{}, func(l *dead.Letter) error {
			found(strconv.FormatUint(l.Sequence, 10), fmt.Sprintf("%s %s, %s: %s", l.Team, l.Name, l.Reason, event.OneLine(l.Error, 60)))
			return nil
		})
	})
	completeQuarantine = fromNATS(func(ctx context.Context, s *session, found func(value, about string)) {
		_ = quarantine.Headers(ctx, s.js, quarantine.Selection{}, func(e *quarantine.Entry) error {
			found(strconv.FormatUint(e.Sequence, 10), e.Reason+" "+clock(e.Received))
			return nil
		})
	})
)

// completeFirst completes the first argument, and nothing after it.
func completeFirst(with cobra.CompletionFunc) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return with(c, args, begun)
	}
}
