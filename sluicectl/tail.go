package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/internal/ops/replay"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

// tailing is `sluicectl tail` with its flags.
type tailing struct {
	patterns []string
	since    string
	count    int
	body     bool
	printed  int
}

func tailCommand() *cobra.Command {
	t := &tailing{}
	c := connected(&cobra.Command{
		Use: "tail [pattern]…", Short: "Show events as they are stored", Args: cobra.ArbitraryArgs, ValidArgsFunction: completeEvents,
		Long: "Show events as they are stored, all or those that match the patterns, until Ctrl-C.\n\n" +
			"Columns: when it was stored, its sequence in EVENTS, name, delivery id, and size in bytes.",
		Example: "  sluicectl tail --since 1h --count 3\n  sluicectl tail 'pbx.>' 'telesales.lead.*' --since 1h --count 2 --body\n  sluicectl tail --since 1h --count 1 -o json",
	}, func(ctx context.Context, s *session, args []string) error {
		t.patterns = args
		return t.follow(ctx, s)
	})
	f := c.Flags()
	f.StringVar(&t.since, "since", "", "begin with events stored since then: "+timeWords+"; default: now")
	f.IntVarP(&t.count, "count", "n", 0, "stop after this many events; 0: run until Ctrl-C")
	f.BoolVar(&t.body, "body", false, "print bodies too")
	return c
}

// follow prints events until the count is reached or ctx ends, which is how it is meant to end.
func (t *tailing) follow(ctx context.Context, s *session) error {
	if err := checkPatterns(t.patterns); err != nil {
		return err
	}
	if t.count < 0 {
		return misused("--count %d: use a number of events, or 0 for all until Ctrl-C", t.count)
	}
	messages, err := t.open(ctx, s)
	if err != nil {
		return err
	}
	defer messages.Stop()
	for t.count == 0 || t.printed < t.count {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if err := t.print(s, m); err != nil {
			return err
		}
	}
	return nil
}

func (t *tailing) open(ctx context.Context, s *session) (jetstream.MessagesContext, error) {
	since, err := parseTime("since", t.since, time.Now())
	if err != nil {
		return nil, err
	}
	config := jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverNewPolicy, HeadersOnly: !t.body && !s.json()}
	if !since.IsZero() {
		config.DeliverPolicy, config.OptStartTime = jetstream.DeliverByStartTimePolicy, &since
	}
	consumer, err := s.js.OrderedConsumer(ctx, stream.Events, config)
	if err != nil {
		return nil, err
	}
	return consumer.Messages()
}

func (t *tailing) print(s *session, m jetstream.Msg) error {
	meta, err := m.Metadata()
	if err != nil {
		return err
	}
	e, err := event.Parse(m.Subject(), m.Headers(), m.Data())
	if err != nil {
		fmt.Fprintf(s.err, "#%d is skipped: %v\n", meta.Sequence.Stream, err)
		return nil
	}
	e.Sequence = meta.Sequence.Stream
	if len(t.patterns) > 0 && !slices.ContainsFunc(t.patterns, func(p string) bool { return event.Match(p, e.Name) }) {
		return nil
	}
	t.printed++
	if s.json() {
		return encoder(s.out).Encode(replay.NewLine(e))
	}
	fmt.Fprintf(s.out, "%s  #%-8d  %-28s  %s  %s\n", meta.Timestamp.Local().Format("15:04:05.000 MST"), e.Sequence, e.Name, printable(e.Delivery), size(m))
	if t.body {
		printBody(s.out, e.Body)
	}
	return nil
}

// size is that of the body, also where only headers came.
func size(m jetstream.Msg) string {
	if bytes := m.Headers().Get("Nats-Msg-Size"); bytes != "" {
		return bytes + " B"
	}
	return fmt.Sprintf("%d B", len(m.Data()))
}
