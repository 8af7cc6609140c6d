package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/consumer/archive/files"
	"github.com/sluicehq/sluice/internal/harmless"
	"github.com/sluicehq/sluice/internal/mask"
	"github.com/sluicehq/sluice/internal/ops/replay"
	"github.com/sluicehq/sluice/internal/team"
	"github.com/sluicehq/sluice/pkg/inbox"
	"github.com/sluicehq/sluice/pkg/settings"
)

// replaying is `sluicectl replay` with its flags.
type replaying struct {
	replay.Selection
	since, until             string
	team, url, secret        string
	yes, dryRun, onlyMissing bool
	rate                     float64
	wait                     time.Duration
	archive                  string // its place; empty: the stream
}

const defaultRate = 200 // what the sender asks of a receiver

func replayCommand() *cobra.Command {
	r := &replaying{}
	c := connected(&cobra.Command{
		Use: "replay", Short: "Send stored events again to one team, to a URL, or to stdout", Args: cobra.NoArgs,
		Long: `Send stored events again to one team, to a URL, or to stdout. Other teams get nothing.

It counts the events first, and asks for confirmation. A team gets copies in the stream REPLAY. Its workers use a quarter
of their concurrency for them, so live events continue. Each replay repeats each effect once, however often the replay is
interrupted. Without --event, a team gets only the events that it usually takes. With --event, it gets all that match.

A URL gets each event as Zorio would post it, with a new timestamp and signature. Stdout (-o ndjson) gets a line of JSON
for each event: body is for reading, body_base64 has the exact bytes that the signature signs.

With --archive, events come from the files of the consumer archive, for what the stream has dropped. Everything else is
the same; times are those at which the gateway took the events. The bare flag is SLUICE_ARCHIVE, or data/archive.

The command waits up to --wait for the team to process the copies; ` + "`sluicectl replay show`" + ` shows how far it is.
Ctrl-C stops a replay to a team or a URL. A resume begins with the events that the URL refused. ` + "`sluicectl replay list`" + `
shows who replayed what, for a year.`,
		Example: `  sluicectl replay --team pbx --since 2h --dry-run
  sluicectl replay --team pbx --since 2h --event 'pbx.call.*' --yes
  sluicectl replay --team pbx --delivery 5c3be9d2-0a63-4d3c-8d3c-0f4f0c6f4f55 --yes
  sluicectl replay --team pbx --from 1 --to 1000 --rate 0 --only-missing --yes
  sluicectl replay --url http://127.0.0.1:3000/webhook --since 10m --yes
  sluicectl replay --archive --team pbx --since 60d --until 30d --yes
  sluicectl replay --since 24h --event 'pbx.>' -o ndjson`,
	}, func(ctx context.Context, s *session, _ []string) error { return r.do(ctx, s) }, "ndjson")
	r.flags(c)
	c.AddCommand(replayListCommand(), replayShowCommand(), replayStopCommand(), replayResumeCommand())
	return c
}

func (r *replaying) flags(c *cobra.Command) {
	f := c.Flags()
	r.archiveFlag(c)
	f.StringVar(&r.team, "team", "", "replay to this team")
	complete(c, "team", completeTeams)
	f.StringVar(&r.since, "since", "", "events stored since then: "+timeWords)
	f.StringVar(&r.until, "until", "", "events stored before then")
	f.Uint64Var(&r.From, "from", 0, "events from this sequence in EVENTS on")
	f.Uint64Var(&r.To, "to", 0, "events up to and including this sequence")
	f.StringArrayVar(&r.Events, "event", nil, "only events of this name or pattern, such as pbx.call.* or pbx.>; may be repeated")
	complete(c, "event", completeEvents)
	f.StringVar(&r.Delivery, "delivery", "", "the event of this delivery id")
	f.BoolVar(&r.onlyMissing, "only-missing", false, "skip events that the team has already processed (set its DATABASE_URL, DATABASE_URL_FILE or SLUICE_DATA)")
	f.Float64Var(&r.rate, "rate", defaultRate, "events per second to a team or a URL; 0: no limit")
	f.StringVar(&r.url, "url", "", "replay to this URL")
	f.StringVar(&r.secret, "secret", "", "secret to sign with for --url (default: "+secretVariable+", or the one that \"make run\" generated)")
	r.waitFlag(c)
	f.BoolVar(&r.dryRun, "dry-run", false, "only count the events")
	f.BoolVar(&r.yes, "yes", false, "do not ask for confirmation")
}

// archiveFlag may stand without a value.
func (r *replaying) archiveFlag(c *cobra.Command) {
	c.Flags().StringVar(&r.archive, "archive", "", "replay from the archive's files instead of the stream: --archive=folder or --archive=s3://name/folder?region=…, as in SLUICE_ARCHIVE")
	c.Flags().Lookup("archive").NoOptDefVal = cmp.Or(os.Getenv("SLUICE_ARCHIVE"), filepath.Join(dataFolder(), "archive"))
}

// openArchive opens it where it is asked for.
func (r *replaying) openArchive(ctx context.Context) (err error) {
	if r.archive == "" {
		return nil
	}
	if !strings.Contains(r.archive, "://") { // a resume may be elsewhere
		if r.archive, err = filepath.Abs(r.archive); err != nil {
			return err
		}
	}
	archive, err := files.OpenEvents(ctx, r.archive)
	if err != nil {
		return fmt.Errorf("--archive: %w", err)
	}
	r.Archive = archive
	return nil
}

func (r *replaying) waitFlag(c *cobra.Command) {
	c.Flags().DurationVar(&r.wait, "wait", 10*time.Second, "how long to wait for the team to process the copies; 0: do not wait")
}

// do checks what is asked for, counts it, asks, and replays.
func (r *replaying) do(ctx context.Context, s *session) error {
	if err := r.check(s); err != nil {
		return err
	}
	if err := r.openArchive(ctx); err != nil {
		return err
	}
	if s.output == "ndjson" {
		run := replay.Run{Selection: r.Selection, Target: replay.Lines{Out: harmless.JSON{Out: s.out}}}
		return run.Play(ctx, s.js, func(replay.Progress) {})
	}
	if r.team != "" {
		if err := r.takeTeam(ctx, s); err != nil {
			return err
		}
	}
	reader, missing, err := r.openInbox(ctx, s)
	if err != nil {
		return err
	}
	if reader != nil {
		defer reader.Close()
	}
	survey, err := r.Survey(ctx, s.js, missing)
	if err != nil {
		return err
	}
	return r.ask(ctx, s, survey, missing)
}

// check holds the flags against each other.
func (r *replaying) check(s *session) (err error) {
	now := time.Now()
	if r.Since, err = parseTime("since", r.since, now); err != nil {
		return err
	}
	if r.Until, err = parseTime("until", r.until, now); err != nil {
		return err
	}
	targets := 0
	for _, given := range []bool{r.team != "", r.url != "", s.output == "ndjson"} {
		if given {
			targets++
		}
	}
	switch {
	case targets != 1:
		return misused("say where to, with one of --team, --url, and -o ndjson for stdout")
	case !r.Until.IsZero() && !r.Until.After(r.Since), r.To > 0 && r.To < r.From:
		return misused("there is nothing in that range: it ends before it begins")
	case r.onlyMissing && r.team == "":
		return misused("--only-missing needs --team: only a team has an inbox")
	case r.rate < 0:
		return misused("--rate %g: use events per second, or 0 for no limit", r.rate)
	case s.output != "ndjson" && r.Since.IsZero() && r.Until.IsZero() && r.From == 0 && r.To == 0 && len(r.Events) == 0 && r.Delivery == "":
		return misused("say what: --since, --until, --from, --to, --event or --delivery")
	}
	if r.url != "" {
		if err := checkURL(r.url); err != nil {
			return err
		}
	}
	return checkPatterns(r.Events)
}

// takeTeam refuses a team that is not there, and takes its patterns unless others are named.
func (r *replaying) takeTeam(ctx context.Context, s *session) error {
	t, err := s.findTeam(ctx, r.team)
	if err != nil {
		return err
	}
	if len(r.Events) == 0 {
		r.Events = t.Events
	}
	s.warnUnread(ctx, t)
	return nil
}

// warnUnread says so where nobody reads what is about to be sent.
func (s *session) warnUnread(ctx context.Context, t *team.Team) {
	if !t.ReadsReplays(ctx, s.js) {
		fmt.Fprintf(s.err, "no worker of %s has ever read REPLAY: the copies wait there until one of this version does, for 30 days\n", t.Name)
	}
}

// openInbox opens the team's inbox where it is within reach.
func (r *replaying) openInbox(ctx context.Context, s *session) (*inbox.Reader, replay.Missing, error) {
	if r.team == "" {
		return nil, nil, nil
	}
	var own inbox.Settings
	if err := settings.Load(&own); err != nil {
		return nil, nil, err
	}
	reader, err := inbox.OpenReader(ctx, r.team, own)
	switch {
	case err == nil:
		return reader, reader.Missing, nil
	case r.onlyMissing:
		return nil, nil, fmt.Errorf("--only-missing: %w: set DATABASE_URL, DATABASE_URL_FILE or SLUICE_DATA to where %s keeps its own", err, r.team)
	}
	fmt.Fprintf(s.err, "set the DATABASE_URL, DATABASE_URL_FILE or SLUICE_DATA of %s to see what it has already processed\n", r.team)
	return nil, nil, nil
}

// ask says what would happen, and does it when that is confirmed.
func (r *replaying) ask(ctx context.Context, s *session, v replay.Survey, missing replay.Missing) error {
	if v.Events == 0 {
		return nothing("no such events")
	}
	would := r.would(v, missing != nil)
	if r.dryRun {
		if s.json() {
			return object(s.out, v)
		}
		fmt.Fprintln(s.out, would)
		return nil
	}
	if err := s.confirm(r.yes, "%s", would); err != nil {
		return err
	}
	return r.begin(ctx, s, v, missing)
}

// would is one sentence about what is to come.
func (r *replaying) would(v replay.Survey, known bool) string {
	count := v.Events
	if r.onlyMissing {
		count -= v.Handled
	}
	from := ""
	if r.archive != "" {
		from = " from the archive"
	}
	text := fmt.Sprintf("would replay %s (%s)%s to %s only, %s", plural(count, "event"), span(v.Begin, v.End), from, cmp.Or(r.team, mask.Address(r.url)), r.pace(count))
	switch {
	case r.onlyMissing:
		text += fmt.Sprintf("; %d it has already processed are left out", v.Handled)
	case known:
		text += fmt.Sprintf("; %d it has already processed", v.Handled)
	}
	if v.Foreign > 0 {
		text += fmt.Sprintf("; %s left out, not an event", plural(v.Foreign, "message"))
	}
	return text
}

func (r *replaying) pace(count int) string {
	if r.rate == 0 {
		return "as fast as they are stored"
	}
	seconds := time.Duration(float64(count)/r.rate*float64(time.Second) + float64(time.Second) - 1).Truncate(time.Second)
	return fmt.Sprintf("about %s at %g/s", spell(seconds), r.rate)
}

// spell is a duration as people say it.
func spell(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	}
	return fmt.Sprintf("%d h", int(d.Hours()))
}

// span is from when to when, with the day where it is not today.
func span(from, to time.Time) string {
	layout := "15:04"
	if today := time.Now().Local().Format(time.DateOnly); from.Local().Format(time.DateOnly) != today || to.Local().Format(time.DateOnly) != today {
		layout = "2006-01-02 15:04"
	}
	return from.Local().Format(layout) + "–" + to.Local().Format(layout+" MST")
}
