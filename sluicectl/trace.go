package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/gateway/seen"
	"github.com/sluicehq/sluice/internal/ops/trace"
	"github.com/sluicehq/sluice/internal/secure"
)

// tracing is `sluicectl trace` with its flags.
type tracing struct {
	since, redis string
	tls          secure.Redis
}

func traceCommand() *cobra.Command {
	t := &tracing{}
	c := connected(&cobra.Command{
		Use: "trace <delivery id>", Short: "Show the whole life of a delivery", Args: cobra.ExactArgs(1),
		Long: `Show the whole life of a delivery: when it was received and stored, and what each team did with it.

With REDIS_URL or REDIS_URL_FILE, the delivery is found at once; if several bodies have this id, the first is. Without it, the headers of all
events since --since are read.`,
		Example: "  sluicectl trace 5c3be9d2-0a63-4d3c-8d3c-0f4f0c6f4f55\n  sluicectl trace 5c3be9d2-0a63-4d3c-8d3c-0f4f0c6f4f55 --since 72h -o json",
	}, func(ctx context.Context, s *session, args []string) error { return t.do(ctx, s, args[0]) })
	c.Flags().StringVar(&t.since, "since", "24h", "look at events stored since then: "+timeWords)
	redisFlag(c, &t.redis, "the gateway's Redis")
	redisTLSFlags(c, &t.tls)
	return c
}

func (t *tracing) do(ctx context.Context, s *session, delivery string) error {
	if delivery == "" {
		return misused("name the delivery: its id stands in the sender's X-Zorio-Delivery")
	}
	since, err := parseTime("since", t.since, time.Now())
	if err != nil {
		return err
	}
	search := trace.Search{Delivery: delivery, Since: since}
	remembered := ""
	if t.redis, err = redisURL(t.redis); err != nil {
		return err
	}
	if t.redis != "" {
		if search.Sequence, remembered, err = t.ask(ctx, delivery); err != nil {
			return err
		}
	}
	life, err := trace.Find(ctx, s.js, search)
	if err != nil {
		return err
	}
	life.Remembered = remembered
	if life.Untold != nil {
		fmt.Fprintf(s.err, "what is over is not known: %v\n", life.Untold)
	}
	if len(life.Events) == 0 && len(life.Quarantine) == 0 {
		return nothing("no delivery %s since %s: it never came, was refused (`sluicectl refused list`), or is older (--since)", delivery, clock(since))
	}
	if s.json() {
		return object(s.out, life)
	}
	s.showLife(life)
	return nil
}

// ask looks into Redis; one that is away costs nothing but the shortcut.
func (t *tracing) ask(ctx context.Context, delivery string) (sequence uint64, remembered string, err error) {
	memory, err := seen.NewRedis(t.redis, t.tls.Files(), seen.Small, slog.New(slog.DiscardHandler))
	if err != nil {
		return 0, "", err
	}
	defer memory.Close()
	switch sequence, err = memory.Find(ctx, delivery); {
	case err != nil:
		return 0, "not known, Redis does not answer: " + err.Error(), nil
	case sequence == 0:
		return 0, "no", nil
	}
	return sequence, fmt.Sprintf("yes, as EVENTS #%d", sequence), nil
}

func (s *session) showLife(life *trace.Life) {
	fmt.Fprintf(s.out, "delivery %s\n", printable(life.Delivery))
	if life.Remembered != "" {
		fmt.Fprintf(s.out, "  in Redis: %s\n", life.Remembered)
	}
	for _, q := range life.Quarantine {
		fmt.Fprintf(s.out, "  %s  in quarantine as #%d: %s\n", clock(q.Received), q.Sequence, q.Reason)
	}
	for _, e := range life.Events {
		s.showStored(e)
		for _, f := range e.Teams {
			s.showFate(f, life.Replayed)
		}
		if len(e.Teams) == 0 {
			fmt.Fprintln(s.out, "  no team takes it")
		}
	}
}

func (s *session) showStored(e *trace.Event) {
	fmt.Fprintf(s.out, "\n%s, EVENTS #%d\n", printable(e.Name), e.Sequence)
	if !e.Received.IsZero() {
		fmt.Fprintf(s.out, "  %s  received\n", clock(e.Received))
	}
	if e.Former {
		fmt.Fprintln(s.out, "  stored before the stream EVENTS was created anew; known by the copies below")
		return
	}
	if e.Unseen {
		fmt.Fprintln(s.out, "  stored before the search begins (--since), or dropped by retention; known by the copies below")
		return
	}
	if e.Received.IsZero() { // the gateway did not store it
		fmt.Fprintf(s.out, "  %s  stored\n", clock(e.Stored))
		return
	}
	fmt.Fprintf(s.out, "  %s  stored, %s after\n", clock(e.Stored), milliseconds(e.Stored.Sub(e.Received)))
}
