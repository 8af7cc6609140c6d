package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/internal/ops/tally"
)

func statsCommand() *cobra.Command {
	var since string
	c := connected(&cobra.Command{
		Use: "stats", Short: "Count what came in: events by kind, rate and bytes", Args: cobra.NoArgs,
		Long: fmt.Sprintf(`Count what came in: events by kind, rate and bytes, over an hour or since --since.

If there are more than %[1]d events, it reads a sample of %[1]d, evenly spread over that time. Then all numbers are
estimates, and are shown as such.`, tally.Most),
		Example: "  sluicectl stats\n  sluicectl stats --since yesterday -o json",
	}, func(ctx context.Context, s *session, _ []string) error {
		from, err := parseTime("since", since, time.Now())
		if err != nil {
			return err
		}
		t, err := tally.Since(ctx, s.js, from, tally.Most)
		if err != nil {
			return err
		}
		return s.showStats(t)
	})
	c.Flags().StringVar(&since, "since", "1h", "events stored since then: "+timeWords)
	return c
}

func (s *session) showStats(t *tally.Tally) error {
	var none error
	if t.Events == 0 {
		none = nothing("no event was stored since %s", clock(t.Since))
	}
	switch {
	case s.json():
		return errors.Join(object(s.out, t), none)
	case none != nil:
		return none
	}
	var rows [][]any
	for _, k := range t.Kinds {
		rows = append(rows, []any{k.Event, k.Count, perSecond(k.Rate), inBytes(k.Bytes), inBytes(k.Bytes / max(k.Count, 1)), share(k.Count, t.Events), clock(k.Newest)})
	}
	rows = append(rows, []any{"all", t.Events, perSecond(t.Rate), inBytes(t.Bytes), inBytes(t.Bytes / t.Events), "100 %", ""})
	table(s.out, []string{"EVENT", "COUNT", "RATE", "BYTES", "EACH", "SHARE", "NEWEST"}, rows)
	fmt.Fprintf(s.out, "\n%s to %s\n", clock(t.Since), clock(t.Until))
	if t.Sampled {
		fmt.Fprintf(s.out, "estimated: %d events were looked at, evenly spread\n", t.Read)
	}
	return nil
}

func share(part, all uint64) string {
	return fmt.Sprintf("%.1f %%", 100*float64(part)/float64(all))
}

// perSecond is a rate with as many digits as it is worth.
func perSecond(rate float64) string {
	switch {
	case rate < 1:
		return fmt.Sprintf("%.1f/min", 60*rate)
	case rate < 100:
		return fmt.Sprintf("%.1f/s", rate)
	}
	return fmt.Sprintf("%.0f/s", rate)
}

// inBytes is a size in the unit that people would use.
func inBytes(n uint64) string {
	size := float64(n)
	for _, unit := range []string{"B", "KiB", "MiB", "GiB"} {
		if size < 1024 {
			return fmt.Sprintf("%.4g %s", size, unit)
		}
		size /= 1024
	}
	return fmt.Sprintf("%.4g TiB", size)
}
