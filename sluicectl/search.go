package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/internal/ops/requests"
)

// searchTime bounds a search: about as many messages as anybody would wait for.
const searchTime = time.Minute

func searchCommand() *cobra.Command {
	var last uint64
	c := connected(&cobra.Command{
		Use: "search <text>", Short: "Find a delivery id, or a text in bodies, in what came last", Args: cobra.ExactArgs(1),
		Long: `Find a delivery id, or a text in bodies, in what came last: events, and what was refused, quarantined or dead-lettered.

The text is looked for byte for byte in the bodies of the last messages of each stream, the newest first, and has to be the
whole of a delivery id. It ends after a minute, and in each stream with 50 finds. What was searched is said at the end.`,
		Example: "  sluicectl search pbx.call.hangup\n  sluicectl search pbx.call.hangup --last 100000 -o json",
	}, func(ctx context.Context, s *session, args []string) error {
		if args[0] == "" || last == 0 {
			return misused("search for at least one byte, in at least one message")
		}
		found, err := requests.Search(ctx, s.js, args[0], last, searchTime, 0)
		if err != nil {
			return err
		}
		return s.showFound(args[0], found)
	})
	c.Flags().Uint64Var(&last, "last", 10_000, "how many of the last messages of each stream are searched")
	return c
}

func (s *session) showFound(text string, f *requests.Found) error {
	var none error
	if len(f.Hits) == 0 {
		none = nothing("nothing has %q in its delivery id or its body, as far as was searched: --last searches more", text)
	}
	if s.json() {
		return errors.Join(object(s.out, f), none)
	}
	var rows [][]any
	for _, h := range f.Hits {
		around := h.Where
		if h.Where == requests.InBody {
			around = h.Left + text + h.Right
		}
		rows = append(rows, []any{fmt.Sprintf("%s #%d", h.Stream, h.Sequence), clock(h.Stored), cut(h.Delivery, 64), around})
	}
	if none == nil {
		table(s.out, []string{"WHERE", "STORED", "DELIVERY", "FOUND"}, rows)
	}
	for _, l := range f.Looked {
		fmt.Fprintf(s.out, "searched the last %d of %d in %s\n", l.Messages, l.Stored, l.Stream)
	}
	if f.Full {
		fmt.Fprintln(s.out, "more were found than are shown: search for something longer")
	}
	return none
}
