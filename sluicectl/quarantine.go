package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/internal/ops/quarantine"
	"github.com/sluicehq/sluice/pkg/event"
)

func quarantineCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "quarantine", Short: "List, release and drop authentic deliveries that were unroutable, late or replayed", Args: cobra.NoArgs,
		Example: "  sluicectl quarantine list\n  sluicectl quarantine release --reason late",
	}
	c.AddCommand(quarantineListCommand(), quarantineShowCommand(), quarantineReleaseCommand(), quarantineDropCommand())
	return c
}

func reasonFlag(c *cobra.Command, reason *string) {
	c.Flags().StringVar(reason, "reason", "", "only with this reason: late (stale timestamp), unroutable (no usable event name) or replayed (the same body under too many delivery ids)")
	complete(c, "reason", cobra.FixedCompletions(quarantine.Reasons, cobra.ShellCompDirectiveNoFileComp))
}

func quarantineListCommand() *cobra.Command {
	var selection quarantine.Selection
	var groups bool
	c := connected(&cobra.Command{
		Use: "list", Short: "List what is in quarantine, or count it", Args: cobra.NoArgs,
		Example: "  sluicectl quarantine list\n  sluicectl quarantine list --groups\n  sluicectl quarantine list --reason late -o json",
	}, func(ctx context.Context, s *session, _ []string) error {
		if groups {
			return s.countQuarantine(ctx, selection)
		}
		return s.listQuarantine(ctx, selection)
	})
	entryFlags(c, &selection)
	c.Flags().BoolVar(&groups, "groups", false, "count the entries by source, reason and event")
	return c
}

// entryFlags are the flags that select entries.
func entryFlags(c *cobra.Command, s *quarantine.Selection) {
	reasonFlag(c, &s.Reason)
	c.Flags().StringVar(&s.Event, "event", "", "only with this event name in the header")
	complete(c, "event", completeEvents)
}

func (s *session) countQuarantine(ctx context.Context, selection quarantine.Selection) error {
	groups, err := quarantine.Groups(ctx, s.js, selection)
	switch {
	case err != nil:
		return err
	case len(groups) == 0:
		return s.empty(noEntries(selection.Reason, "nothing is in quarantine"))
	case s.json():
		return object(s.out, groups)
	}
	var rows [][]any
	for _, g := range groups {
		rows = append(rows, []any{g.Source, g.Reason, g.Event, g.Count, clock(g.First), clock(g.Last), g.Sequence})
	}
	table(s.out, []string{"SOURCE", "REASON", "EVENT", "COUNT", "FIRST", "LAST", "LAST ID"}, rows)
	return nil
}

func (s *session) listQuarantine(ctx context.Context, selection quarantine.Selection) error {
	var entries []entryJSON
	var rows [][]any
	err := quarantine.Each(ctx, s.js, selection, func(e *quarantine.Entry) error {
		j := newEntryJSON(e)
		j.Header, j.Body, j.Base64 = nil, nil, nil
		entries = append(entries, j)
		rows = append(rows, []any{j.ID, j.Reason, clock(j.Received), j.Delivery, j.Event, j.Size, j.Problem})
		return nil
	})
	switch {
	case err != nil:
		return err
	case len(rows) == 0:
		return s.empty(noEntries(selection.Reason, "nothing is in quarantine"))
	case s.json():
		return object(s.out, entries)
	}
	table(s.out, []string{"ID", "REASON", "RECEIVED", "DELIVERY", "EVENT", "SIZE", "PROBLEM"}, rows)
	return nil
}

func quarantineShowCommand() *cobra.Command {
	c := connected(&cobra.Command{
		Use: "show <id or delivery id>", Short: "Print everything about an entry in quarantine", Args: cobra.ExactArgs(1),
		Example: "  sluicectl quarantine show 1",
	}, func(ctx context.Context, s *session, args []string) error { return s.showQuarantine(ctx, args[0]) })
	c.ValidArgsFunction = completeFirst(completeQuarantine)
	return c
}

func (s *session) showQuarantine(ctx context.Context, id string) error {
	var selection quarantine.Selection
	selection.Sequence, selection.Delivery = parseID(id)
	entries := []entryJSON{}
	err := quarantine.Each(ctx, s.js, selection, func(e *quarantine.Entry) error {
		if entries = append(entries, newEntryJSON(e)); !s.json() {
			s.showEntry(e, newEntryJSON(e))
		}
		return nil
	})
	switch {
	case errors.Is(err, quarantine.ErrNotFound), err == nil && len(entries) == 0:
		return nothing("nothing in quarantine is %s: sluicectl quarantine list shows what there is", id)
	case err == nil && s.json():
		return object(s.out, entries)
	}
	return err
}

func (s *session) showEntry(e *quarantine.Entry, j entryJSON) {
	fmt.Fprintf(s.out, "quarantine #%d\n", e.Sequence)
	fields(s.out, "reason", e.Reason, "problem", j.Problem, "event", j.Event, "delivery", e.Delivery, "received", clock(e.Received))
	fmt.Fprintln(s.out, "\nheaders")
	printHeaders(s.out, e.Header, event.HeaderID)
	fmt.Fprintf(s.out, "\nbody, %d bytes\n", len(e.Body))
	printBody(s.out, e.Body)
}

// entryJSON is an entry in quarantine for programs.
type entryJSON struct {
	ID       uint64              `json:"id"`
	Reason   string              `json:"reason"`
	Problem  string              `json:"problem,omitempty"` // why no event name can be found
	Event    string              `json:"event,omitempty"`   // in the body
	Delivery string              `json:"delivery,omitempty"`
	Received time.Time           `json:"received"`
	Size     int                 `json:"size"` // bytes of the body
	Header   map[string][]string `json:"header,omitempty"`
	Body     json.RawMessage     `json:"body,omitempty"`
	Base64   []byte              `json:"body_base64,omitempty"`
}

func newEntryJSON(e *quarantine.Entry) entryJSON {
	j := entryJSON{ID: e.Sequence, Reason: e.Reason, Delivery: e.Delivery, Received: e.Received, Size: len(e.Body), Header: e.Header}
	name, err := e.EventName()
	if j.Event = name; err != nil {
		j.Problem = err.Error()
	}
	j.Body, j.Base64 = bodyJSON(e.Body)
	return j
}

// noEntries says why nothing was found: no such entries, or no such reason.
func noEntries(reason, otherwise string) error {
	if reason != "" && !slices.Contains(quarantine.Reasons, reason) {
		return unknown(nothing("nothing is in quarantine with the reason %q: use %s", reason, oneOf(quarantine.Reasons)))
	}
	return nothing("%s", otherwise)
}
