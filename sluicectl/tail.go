package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/internal/ops/replay"
	"github.com/sluicehq/sluice/internal/refused"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

// tailing is `sluicectl tail` with its flags.
type tailing struct {
	patterns []string
	since    string
	count    int
	body     bool
	refused  bool
	printed  int
}

func tailCommand() *cobra.Command {
	t := &tailing{}
	c := connected(&cobra.Command{
		Use: "tail [pattern]…", Short: "Show events as they are stored", Args: cobra.ArbitraryArgs, ValidArgsFunction: completeEvents,
		Long: "Show events as they are stored, all or those that match the patterns, until Ctrl-C.\n\n" +
			"Columns: when it was stored, its sequence in EVENTS, name, delivery id, and size in bytes. With --refused, requests that " +
			"became no new event are shown too, as far as the gateway keeps them: with their sequence in REFUSED, answer, delivery id, size and peer.",
		Example: "  sluicectl tail --since 1h --count 3\n  sluicectl tail 'pbx.>' 'telesales.lead.*' --since 1h --count 2 --body\n  sluicectl tail --since 1h --count 1 -o json\n  sluicectl tail --refused --since 1h --count 2",
	}, func(ctx context.Context, s *session, args []string) error {
		t.patterns = args
		return t.follow(ctx, s)
	})
	f := c.Flags()
	f.StringVar(&t.since, "since", "", "begin with events stored since then: "+timeWords+"; default: now")
	f.IntVarP(&t.count, "count", "n", 0, "stop after this many events; 0: run until Ctrl-C")
	f.BoolVar(&t.body, "body", false, "print bodies too")
	f.BoolVar(&t.refused, "refused", false, "show requests that became no new event too: refused ones, duplicates, those in quarantine; a sample of two a second and cause")
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
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var streams feeds
	defer func() { streams.stop() }()
	for _, name := range t.streams() {
		f, err := t.open(ctx, s, name)
		if err != nil {
			return err
		}
		streams = append(streams, f)
	}
	for t.count == 0 || t.printed < t.count {
		f, err := streams.next(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if err := t.print(s, f.stream, f.take()); err != nil {
			return err
		}
	}
	return nil
}

func (t *tailing) streams() []string {
	if t.refused {
		return []string{stream.Events, stream.Refused}
	}
	return []string{stream.Events}
}

func (t *tailing) open(ctx context.Context, s *session, name string) (*feed, error) {
	since, err := parseTime("since", t.since, time.Now())
	if err != nil {
		return nil, err
	}
	config := jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverNewPolicy, HeadersOnly: !t.body && !s.json()}
	if !since.IsZero() {
		config.DeliverPolicy, config.OptStartTime = jetstream.DeliverByStartTimePolicy, &since
	}
	return openFeed(ctx, s.js, name, config)
}

func (t *tailing) print(s *session, from string, m jetstream.Msg) error {
	meta, err := m.Metadata()
	if err != nil {
		return err
	}
	if from == stream.Refused {
		return t.printRefused(s, m, meta)
	}
	e, err := event.Parse(m.Subject(), m.Headers(), m.Data())
	if err != nil {
		fmt.Fprintf(s.err, "#%d is skipped: %v\n", meta.Sequence.Stream, err)
		return nil
	}
	e.Sequence = meta.Sequence.Stream
	if !t.matches(e.Name) {
		return nil
	}
	t.printed++
	if s.json() {
		return encoder(s.out).Encode(replay.NewLine(e))
	}
	fmt.Fprintf(s.out, "%s  #%-8d  %-28s  %s  %s\n", meta.Timestamp.Local().Format(tailClock), e.Sequence, e.Name, printable(e.Delivery), size(m))
	if t.body {
		printBody(s.out, e.Body)
	}
	return nil
}

const tailClock = "15:04:05.000 MST"

func (t *tailing) matches(name string) bool {
	return len(t.patterns) == 0 || slices.ContainsFunc(t.patterns, func(p string) bool { return event.Match(p, name) })
}

// printRefused shows a request that became no new event. Which event it claims to be nobody has signed: patterns go by it
// all the same.
func (t *tailing) printRefused(s *session, m jetstream.Msg, meta *jetstream.MsgMetadata) error {
	r, ours := refused.Parse(m.Subject(), meta.Sequence.Stream, meta.Timestamp, m.Headers(), m.Data())
	if !ours || !t.matches(r.Event) {
		return nil
	}
	t.printed++
	if s.json() {
		return encoder(s.out).Encode(newRefusedJSON(r))
	}
	fmt.Fprintf(s.out, "%s  refused #%d  %s  %s  %s  %s\n", meta.Timestamp.Local().Format(tailClock), r.Sequence, printable(r.Answer), cmp.Or(printable(cut(r.Delivery, 64)), "-"), size(m), printable(r.Peer))
	if t.body {
		printBody(s.out, r.Body)
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
