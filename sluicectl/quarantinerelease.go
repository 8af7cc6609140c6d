package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/gateway/seen"
	"github.com/sluicehq/sluice/internal/ops/audit"
	"github.com/sluicehq/sluice/internal/ops/quarantine"
	"github.com/sluicehq/sluice/internal/secure"
	"github.com/sluicehq/sluice/pkg/event"
)

// entries is a command that does something to entries in quarantine: to those that are named, or to those of a reason.
type entries struct {
	quarantine.Selection
	chosen
}

func (e *entries) flags(c *cobra.Command) {
	entryFlags(c, &e.Selection)
	e.chosen.flags(c, "everything in quarantine")
	c.ValidArgsFunction = completeQuarantine
}

// what is the selection in words.
func (e *entries) what(ids []string) string {
	var w words
	w.addEach("", ids)
	w.add("reason", e.Reason)
	w.add("event", e.Event)
	return w.or("all")
}

func (e *entries) selections(ids []string) ([]quarantine.Selection, error) {
	return selections(&e.chosen, ids, e.Selection, e.Reason != "" || e.Event != "", "--reason, --event", func(sequence uint64, delivery string) quarantine.Selection {
		one := e.Selection
		one.Sequence, one.Delivery = sequence, delivery
		return one
	})
}

// releasing is `sluicectl quarantine release` with its flags.
type releasing struct {
	entries
	as, identity, redis string
	tls                 secure.Redis
}

func quarantineReleaseCommand() *cobra.Command {
	r := &releasing{}
	c := connected(&cobra.Command{
		Use: "release [id or delivery id]…", Short: "Store quarantined deliveries as events",
		Long: `Store quarantined deliveries as events. Every team that takes events of that name gets them.

An entry is removed after its event is stored. If another attempt of the sender stored the event already, the entry is a
duplicate: it is only removed. An unroutable entry needs an event name: --as.`,
		Example: "  sluicectl quarantine release 1 --yes\n  sluicectl quarantine release 2 --as pbx.call.hangup --yes\n  sluicectl quarantine release --reason late --yes",
	}, func(ctx context.Context, s *session, args []string) error { return r.do(ctx, s, args) })
	r.flags(c)
	c.Flags().StringVar(&r.as, "as", "", "the event's name, for an unroutable entry")
	c.Flags().StringVar(&r.identity, "identity", cmp.Or(os.Getenv("SLUICE_IDENTITY"), "delivery"), "which deliveries are duplicates, as set for the gateway (SLUICE_IDENTITY): delivery or body")
	complete(c, "identity", cobra.FixedCompletions([]string{"delivery", "body"}, cobra.ShellCompDirectiveNoFileComp))
	redisFlag(c, &r.redis, "the gateway's Redis, to mark the events as seen")
	redisTLSFlags(c, &r.tls)
	return c
}

func (r *releasing) do(ctx context.Context, s *session, ids []string) error {
	switch {
	case r.as != "" && !event.ValidName(r.as):
		return misused("--as %q cannot be an event's name: use letters, digits, _ and - between single dots, at most %d bytes", r.as, event.MaxName)
	case r.identity != "delivery" && r.identity != "body":
		return misused("--identity %s: use delivery or body", r.identity)
	}
	selections, err := r.selections(ids)
	if err != nil {
		return err
	}
	release := quarantine.Release{As: r.as, BodyIdentity: r.identity == "body"}
	url, err := redisURL(r.redis)
	if err != nil {
		return err
	}
	if url != "" {
		memory, err := seen.NewRedis(url, r.tls.Files(), seen.Small, slog.New(slog.DiscardHandler))
		if err != nil {
			return err
		}
		defer memory.Close()
		release.Stored = r.remember(s, memory)
	}
	entry := audit.Entry{Action: audit.QuarantineRelease, What: r.what(ids)}
	for _, selection := range selections {
		if err = r.release(ctx, s, release, selection, &entry); err != nil {
			break
		}
	}
	if entry.Count > 0 {
		entry.Failed(err)
		s.record(ctx, entry)
	}
	return notFound(err)
}

// remember tells the gateway's memory. Without it a repetition after the stream's duplicate window is stored again, and
// meets the teams' inboxes.
func (r *releasing) remember(s *session, memory *seen.Redis) func(context.Context, string, uint64) error {
	return func(ctx context.Context, identity string, sequence uint64) error {
		if err := memory.Mark(ctx, []seen.Mark{{Identity: identity, Sequence: sequence, Stored: time.Now()}}); err != nil {
			fmt.Fprintf(s.err, "stored as #%d, and Redis does not know it: %v\n", sequence, err)
		}
		return nil
	}
}

// released is what became of one entry, for programs.
type released struct {
	ID        uint64 `json:"id"`
	Event     string `json:"event,omitempty"`
	Sequence  uint64 `json:"sequence,omitempty"` // in EVENTS
	Duplicate bool   `json:"duplicate,omitempty"`
	Error     string `json:"error,omitempty"`
}

// release counts, asks and releases. An entry that cannot be released stays and does not keep the others.
func (r *releasing) release(ctx context.Context, s *session, release quarantine.Release, selection quarantine.Selection, entry *audit.Entry) error {
	count, err := release.Prepare(ctx, s.js, selection)
	if err != nil {
		return err
	}
	if count == 0 {
		return noEntries(selection.Reason, "no such entry in quarantine")
	}
	if err := s.confirm(r.yes, "would release %s to every team that takes them", plural(count, "delivery")); err != nil {
		return err
	}
	all, failed := []released{}, 0
	err = quarantine.Each(ctx, s.js, selection, func(e *quarantine.Entry) error {
		outcome, err := release.Do(ctx, s.js, e)
		one := released{ID: e.Sequence, Event: outcome.Event, Sequence: outcome.Sequence, Duplicate: outcome.Duplicate}
		if err != nil {
			one.Error = err.Error()
			failed++
		} else {
			entry.Add(fmt.Sprint(e.Sequence))
		}
		if all = append(all, one); !s.json() {
			fmt.Fprintln(s.out, one)
		}
		return ctx.Err()
	})
	if s.json() {
		err = errors.Join(err, object(s.out, all))
	}
	if err == nil && failed > 0 {
		err = fmt.Errorf("%d of %d stay in quarantine", failed, count)
	}
	return err
}

func (r released) String() string {
	switch {
	case r.Error != "":
		return "not released: " + printable(r.Error)
	case r.Duplicate:
		return fmt.Sprintf("#%d: %s was stored before (duplicate), and is removed from quarantine", r.ID, r.Event)
	}
	return fmt.Sprintf("#%d: stored as EVENTS #%d, %s", r.ID, r.Sequence, r.Event)
}

func quarantineDropCommand() *cobra.Command {
	var e entries
	c := connected(&cobra.Command{
		Use: "drop [id or delivery id]…", Short: "Remove entries from quarantine for good",
		Example: "  sluicectl quarantine drop 3 --yes\n  sluicectl quarantine drop --reason unroutable --yes",
	}, func(ctx context.Context, s *session, args []string) error { return e.drop(ctx, s, args) })
	e.flags(c)
	return c
}

func (e *entries) drop(ctx context.Context, s *session, ids []string) error {
	selections, err := e.selections(ids)
	if err != nil {
		return err
	}
	var found []*quarantine.Entry
	for _, selection := range selections {
		if err := quarantine.Headers(ctx, s.js, selection, func(one *quarantine.Entry) error {
			one.Body = nil
			found = append(found, one)
			return nil
		}); err != nil {
			return notFound(err)
		}
	}
	if len(found) == 0 {
		return noEntries(e.Reason, "no such entry in quarantine")
	}
	if err := s.confirm(e.yes, "would remove %s from quarantine for good", plural(len(found), "delivery")); err != nil {
		return err
	}
	entry := audit.Entry{Action: audit.QuarantineDrop, What: e.what(ids)}
	defer func() { s.record(ctx, entry) }()
	for _, one := range found {
		gone, err := quarantine.Drop(ctx, s.js, one)
		if err != nil {
			entry.Failed(err)
			return err
		}
		if !gone {
			entry.Add(fmt.Sprint(one.Sequence))
		}
	}
	if s.json() {
		return object(s.out, map[string]int{"done": entry.Count})
	}
	fmt.Fprintf(s.out, "removed %s from quarantine\n", plural(entry.Count, "delivery"))
	return nil
}
