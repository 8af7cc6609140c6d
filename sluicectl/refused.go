package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/internal/refused"
	"github.com/sluicehq/sluice/pkg/event"
)

func refusedCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "refused", Short: "Show the last requests that became no new event", Args: cobra.NoArgs,
		Long: `Show the last requests that became no new event: refused ones, duplicates, and those that went to quarantine.

The gateway keeps a hundred for each cause, for seven days, and two a second and cause at most: of a flood, and of many
duplicates, it keeps a sample. While NATS is away it keeps none. Possible secrets are removed, of a signature the first
16 digits are kept, and a large body is cut at 64 KiB.`,
		Example: "  sluicectl refused list\n  sluicectl verify --refused 1",
	}
	c.AddCommand(refusedListCommand(), refusedShowCommand())
	return c
}

func refusedListCommand() *cobra.Command {
	var cause string
	c := connected(&cobra.Command{
		Use: "list", Short: "List the last requests that became no new event", Args: cobra.NoArgs,
		Example: "  sluicectl refused list\n  sluicectl refused list --cause invalid -o json",
	}, func(ctx context.Context, s *session, _ []string) error { return s.listRefused(ctx, cause) })
	c.Flags().StringVar(&cause, "cause", "", "only with this cause, as in the list and the metrics: invalid, stale, malformed, …")
	complete(c, "cause", cobra.FixedCompletions(refused.Causes, cobra.ShellCompDirectiveNoFileComp))
	return c
}

func (s *session) listRefused(ctx context.Context, cause string) error {
	var all []refusedJSON
	var rows [][]any
	if cause != "" && !slices.Contains(refused.Causes, cause) {
		return nothing("nothing is refused for the cause %q: use %s", cause, oneOf(refused.Causes))
	}
	err := refused.Each(ctx, s.js, cause, func(r *refused.Request) error {
		j := newRefusedJSON(r)
		j.Header, j.Body, j.Base64 = nil, nil, nil
		all = append(all, j)
		rows = append(rows, []any{j.ID, j.Cause, clock(j.Received), j.Peer, cut(j.Delivery, 64), j.Answer})
		return nil
	})
	switch {
	case err != nil:
		return err
	case len(rows) == 0:
		return s.empty(nothing("no refused request is kept"))
	case s.json():
		return object(s.out, all)
	}
	table(s.out, []string{"ID", "CAUSE", "RECEIVED", "FROM", "DELIVERY", "ANSWER"}, rows)
	return nil
}

func refusedShowCommand() *cobra.Command {
	return connected(&cobra.Command{
		Use: "show <id>", Short: "Print everything that is kept of a request that became no new event", Args: cobra.ExactArgs(1),
		Example: "  sluicectl refused show 1",
	}, func(ctx context.Context, s *session, args []string) error { return s.showRefused(ctx, args[0]) })
}

func (s *session) showRefused(ctx context.Context, id string) error {
	r, err := s.refusedRequest(ctx, id)
	switch {
	case err != nil:
		return err
	case s.json():
		return object(s.out, newRefusedJSON(r))
	}
	fmt.Fprintf(s.out, "refused #%d\n", r.Sequence)
	fields(s.out, "answer", r.Answer, "reason", r.Reason, "request", r.Line, "from", r.Peer, "received", clock(r.Received), "took", took(r.Took), "delivery", r.Delivery)
	fmt.Fprintln(s.out, "\nheaders")
	printHeaders(s.out, r.Header, event.HeaderAnswer, event.HeaderReason, event.HeaderPeer, event.HeaderRequest, event.HeaderBody, event.HeaderTook, event.HeaderSource, event.HeaderReceived)
	fmt.Fprintf(s.out, "\nbody, %d bytes, %s\n", len(r.Body), printable(r.State))
	printBody(s.out, r.Body)
	return nil
}

func (s *session) refusedRequest(ctx context.Context, id string) (*refused.Request, error) {
	sequence, err := strconv.ParseUint(id, 10, 64)
	if err != nil {
		return nil, misused("%q is not an id: sluicectl refused list shows what there is", id)
	}
	r, err := refused.Get(ctx, s.js, sequence)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nothing("no refused request is #%d: sluicectl refused list shows what there is", sequence)
	}
	return r, err
}

// took is empty where it is not known.
func took(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.Round(time.Microsecond).String()
}

// refusedJSON is a refused request for programs.
type refusedJSON struct {
	ID       uint64              `json:"id"`
	Cause    string              `json:"cause"`
	Answer   string              `json:"answer"`
	Reason   string              `json:"reason"`
	Request  string              `json:"request"`
	Peer     string              `json:"peer"`
	Received time.Time           `json:"received"`
	Delivery string              `json:"delivery,omitempty"`
	State    string              `json:"body_state"` // whole, cut or not read
	Header   map[string][]string `json:"header,omitempty"`
	Body     json.RawMessage     `json:"body,omitempty"`
	Base64   []byte              `json:"body_base64,omitempty"`
}

func newRefusedJSON(r *refused.Request) refusedJSON {
	j := refusedJSON{ID: r.Sequence, Cause: r.Cause, Answer: r.Answer, Reason: r.Reason, Request: r.Line, Peer: r.Peer, Received: r.Received,
		Delivery: r.Delivery, State: r.State, Header: r.Header}
	j.Body, j.Base64 = bodyJSON(r.Body)
	return j
}
