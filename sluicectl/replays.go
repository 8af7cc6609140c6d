package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/internal/ops/audit"
	"github.com/sluicehq/sluice/internal/ops/replay"
)

func replayListCommand() *cobra.Command {
	return connected(&cobra.Command{
		Use: "list", Short: "List replays: who, when, what, and their progress", Args: cobra.NoArgs,
		Example: "  sluicectl replay list\n  sluicectl replay list -o json",
	}, func(ctx context.Context, s *session, _ []string) error {
		journal, err := replay.OpenJournal(ctx, s.js)
		if err != nil {
			return err
		}
		entries, err := journal.List(ctx)
		if err != nil {
			return err
		}
		return s.listReplays(entries)
	})
}

func (s *session) listReplays(entries []*replay.Entry) error {
	switch {
	case len(entries) == 0:
		return s.empty(nothing("no replays"))
	case s.json():
		return object(s.out, entries)
	}
	var rows [][]any
	for _, e := range entries {
		rows = append(rows, []any{e.ID, e.State, e.By, clock(e.Started), e.Target(), fmt.Sprintf("%d/%d", e.Progress.Settled(), e.Events), whatAndWhy(e)})
	}
	table(s.out, []string{"ID", "STATE", "BY", "STARTED", "TO", "DONE", "WHAT"}, rows)
	return nil
}

// what is the selection in the words of the flags.
func what(e *replay.Entry) string {
	var w words
	w.addEach("event", e.Selection.Events)
	w.add("delivery", e.Selection.Delivery)
	w.add("from", e.First)
	w.add("to", e.Last)
	w.add("since", clock(e.Selection.Since))
	w.add("until", clock(e.Selection.Until))
	if e.OnlyMissing {
		w.add("only missing", " ")
	}
	w.add("archive", e.Archive)
	return strings.Join(w, ", ")
}

// whatAndWhy adds why it failed.
func whatAndWhy(e *replay.Entry) string {
	w := words{what(e)}
	if e.Progress.Refused > 0 {
		w = append(w, fmt.Sprintf("%d refused", e.Progress.Refused))
	}
	if e.Error != "" {
		w = append(w, "("+e.Error+")")
	}
	return strings.Join(w, ", ")
}

func replayStopCommand() *cobra.Command {
	var purge bool
	c := connected(&cobra.Command{
		Use: "stop <id>", Short: "Stop a replay; it can be resumed", Args: cobra.ExactArgs(1),
		Long: `Stop a replay; it can be resumed. The command that runs it ends within a second.

The team still processes the copies that are in REPLAY already. --purge removes those that it has not taken yet; a resume
does not bring them back.`,
		Example: "  sluicectl replay stop 20261123-130205-k3f9\n  sluicectl replay stop 20261123-130205-k3f9 --purge",
	}, func(ctx context.Context, s *session, args []string) error { return s.stopReplay(ctx, args[0], purge) })
	c.ValidArgsFunction = completeFirst(completeReplays)
	c.Flags().BoolVar(&purge, "purge", false, "also remove the copies that the team has not taken yet")
	return c
}

func (s *session) stopReplay(ctx context.Context, id string, purge bool) error {
	journal, err := replay.OpenJournal(ctx, s.js)
	if err != nil {
		return err
	}
	e, err := journal.Stop(ctx, id)
	if err != nil {
		return notFound(err)
	}
	s.recordReplay(ctx, audit.ReplayStop, *e, e.Events-e.Progress.Settled())
	purged := 0
	if purge && e.Team != "" {
		if purged, err = replay.Purge(ctx, s.js, e.Team, id); err != nil {
			return err
		}
		s.recordReplay(ctx, audit.ReplayPurge, *e, purged)
	}
	if s.json() {
		return object(s.out, struct {
			*replay.Entry
			Purged int `json:"purged"`
		}{e, purged})
	}
	fmt.Fprintf(s.out, "replay %s is %s after %d of %d events", id, e.State, e.Progress.Settled(), e.Events)
	if purge {
		fmt.Fprintf(s.out, "; removed %d that %s had not taken yet", purged, e.Target())
	}
	fmt.Fprintln(s.out)
	return nil
}

func replayResumeCommand() *cobra.Command {
	r := &replaying{}
	c := connected(&cobra.Command{
		Use: "resume <id>", Short: "Resume a replay that was stopped, interrupted, refused or failed", Args: cobra.ExactArgs(1),
		Long:    "Resume a replay that was stopped, interrupted, refused or failed. It asks for confirmation, and begins with the events that the URL refused.",
		Example: "  sluicectl replay resume 20261123-130205-k3f9 --yes",
	}, func(ctx context.Context, s *session, args []string) error { return r.resume(ctx, s, args[0]) })
	c.ValidArgsFunction = completeFirst(completeReplays)
	c.Flags().StringVar(&r.url, "url", "", "the URL, needed again if it has a password, which is not kept")
	c.Flags().StringVar(&r.secret, "secret", "", "secret to sign with, for a replay to a URL")
	c.Flags().BoolVar(&r.yes, "yes", false, "do not ask for confirmation")
	r.waitFlag(c)
	return c
}

func (r *replaying) resume(ctx context.Context, s *session, id string) error {
	journal, err := replay.OpenJournal(ctx, s.js)
	if err != nil {
		return err
	}
	e, err := journal.Get(ctx, id)
	if err != nil {
		return notFound(err)
	}
	if err := e.Resumable(); err != nil {
		return err
	}
	if err := s.confirm(r.yes, "would go on with replay %s to %s: %d of %s are left", id, e.Target(), e.Events-e.Progress.Settled(), plural(e.Events, "event")); err != nil {
		return err
	}
	if r.team, r.onlyMissing = e.Team, e.OnlyMissing; r.url == "" {
		r.url = e.URL
	}
	r.archive = e.Archive
	if err := r.openArchive(ctx); err != nil {
		return err
	}
	var missing replay.Missing
	if e.OnlyMissing {
		reader, ask, err := r.openInbox(ctx, s)
		if err != nil {
			return err
		}
		defer reader.Close()
		missing = ask
	}
	record, err := journal.Resume(ctx, id, operator())
	if err != nil {
		return err
	}
	s.recordReplay(ctx, audit.ReplayResume, record.Entry(), e.Events-e.Progress.Settled())
	return r.run(ctx, s, record, missing)
}
