package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	archive "github.com/sluicehq/sluice/consumer/archive/files"
	"github.com/sluicehq/sluice/internal/mask"
	"github.com/sluicehq/sluice/internal/ops/audit"
	"github.com/sluicehq/sluice/internal/ops/replay"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/internal/team"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// newReplayView is the form of a replay, with a histogram of the stream.
type newReplayView struct {
	Query     query
	Rate      string
	Teams     []string
	Names     []string
	Bars      []bar
	Most      uint64
	From, To  time.Time // of the histogram
	Empty     bool
	HasSecret bool
	Archive   bool // there is one to read
}

// bar is a part of the histogram as it is drawn.
type bar struct {
	replay.Bar
	X, Y, Width, Height string
	Chosen              bool
	Link                string
}

// Size of the histogram, in its own units.
const (
	bars      = 48
	barsWide  = 960
	barsHigh  = 120
	layoutDay = "2006-01-02T15:04:05" // of fields for times
)

func (s *server) newReplayPage(r *http.Request) (any, error) {
	v := newReplayView{Query: query(r.URL.Query()), Names: zorio.Names(), HasSecret: s.settings.secret() != "", Archive: s.settings.Archive != "", Rate: r.FormValue("rate")}
	if v.Rate == "" {
		v.Rate = "200"
	}
	teams, err := team.All(r.Context(), s.js)
	if err != nil {
		return nil, err
	}
	for _, t := range teams {
		v.Teams = append(v.Teams, t.Name)
	}
	events, err := s.js.Stream(r.Context(), stream.Events)
	if err != nil {
		return nil, err
	}
	if state := events.CachedInfo().State; state.Msgs > 0 {
		found, err := s.histogram.look(r.Context(), s.js, state.FirstTime)
		if err != nil {
			return nil, err
		}
		v.From, v.To = found[0].Begin, found[len(found)-1].End
		v.Bars, err = v.draw(found)
		return v, err
	}
	v.Empty = true
	return v, nil
}

// histogram is kept for a moment: it takes a question for each bar.
type histogram struct {
	mu   sync.Mutex
	at   time.Time
	bars []replay.Bar
}

const histogramFor = 10 * time.Second

func (h *histogram) look(ctx context.Context, js jetstream.JetStream, first time.Time) ([]replay.Bar, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.at) < histogramFor {
		return h.bars, nil
	}
	found, err := replay.Histogram(ctx, js, first.UTC().Truncate(time.Second), time.Now().UTC().Add(time.Second).Truncate(time.Second), bars)
	if err != nil {
		return nil, err
	}
	h.bars, h.at = found, time.Now()
	return found, nil
}

// draw makes rectangles, and marks those that are chosen.
func (v *newReplayView) draw(found []replay.Bar) (drawn []bar, err error) {
	since, err := v.Query.time("from", v.From)
	if err != nil {
		return nil, err
	}
	until, err := v.Query.time("to", v.To)
	if err != nil {
		return nil, err
	}
	for _, b := range found {
		v.Most = max(v.Most, b.Events)
	}
	const wide = float64(barsWide) / bars
	for i, b := range found {
		high := 0.0
		if b.Events > 0 {
			high = max(2, float64(b.Events)/float64(v.Most)*(barsHigh-4))
		}
		link := url.Values{}
		for name, values := range v.Query {
			link[name] = values
		}
		link.Set("from", b.Begin.Format(layoutDay))
		link.Set("to", b.End.Add(time.Second).Format(layoutDay))
		drawn = append(drawn, bar{Bar: b, X: fmt.Sprintf("%.1f", float64(i)*wide), Y: fmt.Sprintf("%.1f", barsHigh-high), Width: fmt.Sprintf("%.1f", wide-1), Height: fmt.Sprintf("%.1f", high),
			Chosen: v.Query.Get("from")+v.Query.Get("to") != "" && b.End.After(since) && b.Begin.Before(until), Link: "/replay/new?" + link.Encode()})
	}
	return drawn, nil
}

// asked is what a form asks for.
type asked struct {
	replay.Selection
	Team, URL   string
	OnlyMissing bool
	Rate        float64
	FromArchive bool
	narrow      bool // some of what the team takes is not asked for
}

func (a *asked) target() string {
	if a.Team != "" {
		return a.Team
	}
	return mask.Address(a.URL)
}

// replayAsked reads a form and holds its parts against each other.
func (s *server) replayAsked(r *http.Request) (a asked, err error) {
	q := query(r.URL.Query())
	if a.Since, err = q.time("from", time.Time{}); err != nil {
		return a, err
	}
	if a.Until, err = q.time("to", time.Time{}); err != nil {
		return a, err
	}
	text := func(name string) string { return strings.TrimSpace(q.Get(name)) }
	if name := text("event"); name != "" {
		a.Events = []string{name}
	}
	a.FromArchive = q.Get("archive") != ""
	a.Delivery, a.Team, a.URL, a.OnlyMissing = text("delivery"), text("team"), text("url"), q.Get("missing") != ""
	if a.Rate, err = strconv.ParseFloat(q.Get("rate"), 64); err != nil || !(a.Rate >= 0) || a.Rate > 1e6 || a.Rate > 0 && a.Rate < 0.001 {
		return a, fmt.Errorf("%w: rate=%q: use events a second, 0.001 at least, or 0 for as fast as they are stored", errMisused, q.Get("rate"))
	}
	switch to, err := url.Parse(a.URL); {
	case (a.Team == "") == (a.URL == ""):
		return a, fmt.Errorf("%w: choose a team, or write a URL, and not both", errMisused)
	case a.URL != "" && (err != nil || to.Host == "" || to.Scheme != "http" && to.Scheme != "https"):
		return a, fmt.Errorf("%w: %q is not a URL: use http://host/path or https://host/path", errMisused, mask.Address(a.URL))
	case a.URL != "" && to.User != nil:
		return a, fmt.Errorf("%w: the URL has a password, which the console does not keep: sluicectl replay --url does it", errMisused)
	case a.URL != "" && s.settings.secret() == "":
		return a, fmt.Errorf("%w: a URL gets signed events: set ZORIO_WEBHOOK_SECRET or ZORIO_WEBHOOK_SECRET_FILE where the console is started", errMisused)
	case a.OnlyMissing && a.Team == "":
		return a, fmt.Errorf("%w: what a team has not processed is known of teams only: choose one", errMisused)
	case len(a.Events) > 0 && !event.ValidPattern(a.Events[0]):
		return a, fmt.Errorf("%w: %q is not a pattern of event names: use names such as pbx.call.hangup, with * for one part, or > at the end for all that follow", errMisused, a.Events[0])
	case !a.Until.IsZero() && !a.Until.After(a.Since):
		return a, fmt.Errorf("%w: the time ends before it begins", errMisused)
	}
	return a, nil
}

// counted is what was asked for as it is now: the sequences are those that were counted.
func (s *server) counted(ctx context.Context, a asked) (asked, replay.Survey, error) {
	if a.Team != "" {
		t, err := team.Find(ctx, s.js, a.Team)
		if errors.Is(err, team.ErrUnknown) {
			err = fmt.Errorf("%w: %w", errMisused, err)
		}
		if err != nil {
			return a, replay.Survey{}, err
		}
		if a.narrow = len(a.Events) > 0 || a.Delivery != ""; len(a.Events) == 0 {
			a.Events = t.Events
		}
	}
	if a.FromArchive {
		kept, err := s.openArchive(ctx, s.settings.Archive)
		if err != nil {
			return a, replay.Survey{}, err
		}
		defer kept.Close()
		a.Archive = kept
	}
	selection, survey, err := a.Count(ctx, s.js)
	if errors.Is(err, replay.ErrTooMany) {
		err = fmt.Errorf("%w: %w", errMisused, err)
	}
	a.Selection, a.Archive = selection, nil
	return a, survey, err
}

// openArchive opens the place of an archive: the console's own, and no other.
func (s *server) openArchive(ctx context.Context, place string) (*archive.Events, error) {
	if place == "" || place != s.settings.Archive {
		return nil, fmt.Errorf("%w: the console reads no such archive: set SLUICE_ARCHIVE to its place where the console is started, or use sluicectl replay --archive", errMisused)
	}
	return archive.OpenEvents(ctx, place)
}

// replayCommand does the same on a command line.
func replayCommand(a asked) string {
	line := "sluicectl replay"
	add := func(flag, value string) {
		if value != "" {
			line += " --" + flag + " " + quoted(value)
		}
	}
	add("team", a.Team)
	add("url", mask.Address(a.URL))
	for _, name := range a.Events {
		add("event", name)
	}
	add("delivery", a.Delivery)
	if !a.Since.IsZero() {
		add("since", a.Since.UTC().Format(time.RFC3339))
	}
	if !a.Until.IsZero() {
		add("until", a.Until.UTC().Format(time.RFC3339))
	}
	if a.Since.IsZero() && a.Until.IsZero() && a.From > 0 {
		add("from", strconv.FormatUint(a.From, 10))
		add("to", strconv.FormatUint(a.To, 10))
	}
	if a.FromArchive {
		line += " --archive"
	}
	if a.OnlyMissing {
		line += " --only-missing"
	}
	if a.Rate != 200 {
		add("rate", strconv.FormatFloat(a.Rate, 'g', -1, 64))
	}
	return line
}

func (s *server) askReplay(r *http.Request) (*question, error) {
	a, err := s.replayAsked(r)
	if err != nil {
		return nil, err
	}
	a, survey, err := s.counted(r.Context(), a)
	if err != nil {
		return nil, err
	}
	q := &question{Back: "/replay/new?" + r.URL.RawQuery, Command: replayCommand(a), Fields: url.Values{"span": {fmt.Sprintf("%d-%d", a.From, a.To)}}}
	if survey.Events == 0 && a.FromArchive {
		q.Title, q.Would = "Nothing to replay", []string{"The archive has no such events."}
		return q, nil
	}
	if survey.Events == 0 {
		q.Title, q.Would = "Nothing to replay", []string{"The stream has no such events. What retention has dropped may be in the archive: sluicectl replay --archive reads it."}
		return q, nil
	}
	n, left, err := s.already(r.Context(), a, survey)
	if err != nil {
		return nil, err
	}
	q.Title, q.Button = "Replay "+many(n, "event")+" to "+a.target()+"?", "Replay to "+a.target()
	q.Would = append([]string{
		fmt.Sprintf("%s would go to %s and to nobody else: %s.", many(n, "event"), a.target(), fromArchive(a.FromArchive)+whatIsReplayed(a.Selection, a.OnlyMissing)),
		takes(n, a.Rate),
	}, left...)
	if a.Team != "" {
		q.Would = append(q.Would, s.doubtsOf(r.Context(), a.Team)...)
	}
	return q, nil
}

func fromArchive(yes bool) string {
	if yes {
		return "from the archive, "
	}
	return ""
}

// takes is how long it takes, in a sentence.
func takes(n int, rate float64) string {
	if rate == 0 {
		return "They would be sent as fast as they are stored. The team's live events go on beside them."
	}
	return fmt.Sprintf("That takes about %s at %g a second. Live events go on beside it.", lasts(time.Duration(float64(n)/rate*float64(time.Second))+time.Second), rate)
}

// mostSurveyed events are read to tell exactly how many of those that are asked for were processed.
const mostSurveyed = 200_000

// already says what would happen twice, and how many events are left at most.
func (s *server) already(ctx context.Context, a asked, v replay.Survey) (n int, words []string, err error) {
	if a.Team == "" {
		return v.Events, []string{"Whatever the receiver does with an event it does again, unless it knows the delivery id: each has the id, and a new time and signature."}, nil
	}
	told, err := replay.ToldBy(ctx, s.js, a.Team, a.From, a.To)
	if err != nil {
		return 0, nil, err
	}
	done := min(told.Count(), v.Events)
	if a.narrow && done > 0 && !a.FromArchive && a.To-a.From < mostSurveyed { // some of these are not asked for
		survey, err := a.Survey(ctx, s.js, told.Missing)
		if err != nil {
			return 0, nil, err
		}
		done = survey.Handled
	}
	if a.OnlyMissing {
		return max(0, v.Events-done), []string{fmt.Sprintf("What its history says that %s has processed is left out: %s of that time. Events that are older than the history count as not processed.", a.Team, many(done, "event"))}, nil
	}
	return v.Events, []string{fmt.Sprintf("%s has processed %s of that time already, as its history tells: what its handler does happens again for these, once, however often the replay is stopped and resumed.", a.Team, many(done, "event"))}, nil
}

func (s *server) doReplay(r *http.Request, by who) (said, back string, err error) {
	a, err := s.replayAsked(r)
	if err != nil {
		return "", "", err
	}
	if r.PostFormValue("span") == "" {
		return "", "", fmt.Errorf("%w: ask first what would be replayed", errMisused)
	}
	if a.From, a.To, err = s.spanOf(r, stream.Events); err != nil {
		return "", "", err
	}
	a, survey, err := s.counted(r.Context(), a)
	place := ""
	if a.FromArchive {
		place = s.settings.Archive
	}
	if err == nil && survey.Events == 0 {
		err = fmt.Errorf("%w: retention has dropped these events meanwhile", errLate)
	}
	if err != nil {
		return "", "", err
	}
	missing, err := s.missing(r.Context(), a.Team, a.OnlyMissing, a.From, a.To)
	if err != nil {
		return "", "", err
	}
	journal, err := replay.OpenJournal(r.Context(), s.js)
	if err != nil {
		return "", "", err
	}
	record, err := journal.Begin(r.Context(), replay.Entry{By: by.String(), Team: a.Team, URL: mask.Address(a.URL), Selection: a.Selection,
		Archive: place, OnlyMissing: a.OnlyMissing, Rate: a.Rate, Events: survey.Events, First: survey.First, Last: survey.Last})
	if err != nil {
		return "", "", err
	}
	e := record.Entry()
	s.recordReplay(r, audit.ReplayStart, &e, survey.Events)
	s.run(record, missing)
	return "The replay has begun", "/replay/" + e.ID, nil
}

// missing leaves out what a team has processed, where that is asked for.
func (s *server) missing(ctx context.Context, name string, asked bool, first, last uint64) (replay.Missing, error) {
	if !asked {
		return nil, nil
	}
	told, err := replay.ToldBy(ctx, s.js, name, first, last)
	if err != nil {
		return nil, err
	}
	return told.Missing, nil
}

// recordReplay writes down what was done to a replay, and how many events it is about.
func (s *server) recordReplay(r *http.Request, action audit.Action, e *replay.Entry, n int) {
	entry := audit.Entry{Action: action, What: "to " + e.Target() + ", " + whatIsReplayed(e.Selection, e.OnlyMissing), IDs: []string{e.ID}, Count: n}
	if e.Team != "" {
		entry.Teams = []string{e.Team}
	}
	s.record(r, entry)
}

func (s *server) askStop(r *http.Request) (*question, error) {
	e, err := s.replayOf(r)
	if err != nil {
		return nil, err
	}
	purge := r.FormValue("purge") != "" && e.Team != ""
	q := &question{Title: "Stop the replay to " + e.Target() + "?", Back: "/replay/" + e.ID, Button: "Stop it", Command: "sluicectl replay stop " + e.ID}
	q.Would = []string{fmt.Sprintf("It would end within a second, after %s of %s events. It can be resumed.", count(e.Progress.Settled()), count(e.Events))}
	switch {
	case purge:
		q.Button, q.Command, q.Danger = "Stop it and take copies back", q.Command+" --purge", true
		q.Would = append(q.Would, "Copies that "+e.Team+" has not taken yet would be removed; a resume does not bring them back.")
	case e.Team != "":
		q.Would = append(q.Would, e.Team+" still processes the copies that it has got.")
	}
	if e.State != replay.Running && !purge {
		q.Button, q.Would = "", []string{"It is " + string(e.State) + " already."}
	}
	return q, nil
}

func (s *server) doStop(r *http.Request, _ who) (said, back string, err error) {
	e, err := s.replayOf(r)
	if err != nil {
		return "", "", err
	}
	purge := r.FormValue("purge") != "" && e.Team != ""
	if e.State != replay.Running && !purge {
		return "", "", fmt.Errorf("%w: the replay is %s already", errLate, e.State)
	}
	journal, err := replay.OpenJournal(r.Context(), s.js)
	if err != nil {
		return "", "", err
	}
	if e, err = journal.Stop(r.Context(), e.ID); err != nil {
		return "", "", err
	}
	s.recordReplay(r, audit.ReplayStop, e, e.Events-e.Progress.Settled())
	said = "The replay is stopped"
	if purge {
		removed, err := replay.Purge(r.Context(), s.js, e.Team, e.ID)
		if s.recordReplay(r, audit.ReplayPurge, e, removed); err != nil {
			return "", "", err
		}
		said += "; " + many(removed, "copy") + " taken back"
	}
	return said, "/replay/" + e.ID, nil
}

func (s *server) askGoOn(r *http.Request) (*question, error) {
	e, err := s.replayOf(r)
	if err != nil {
		return nil, err
	}
	q := &question{Title: "Resume the replay to " + e.Target() + "?", Back: "/replay/" + e.ID, Command: "sluicectl replay resume " + e.ID}
	if err := e.Resumable(); err != nil {
		q.Would = []string{err.Error() + "."}
		return q, nil
	}
	left := max(0, e.Events-e.Progress.Settled())
	q.Button = "Resume it"
	q.Would = []string{fmt.Sprintf("%s of %s are left, and would go on to %s.", count(left), many(e.Events, "event"), e.Target()), takes(left, e.Rate)}
	return q, nil
}

func (s *server) doGoOn(r *http.Request, by who) (said, back string, err error) {
	e, err := s.replayOf(r)
	if err != nil {
		return "", "", err
	}
	if err := e.Resumable(); err != nil {
		return "", "", fmt.Errorf("%w: %w", errLate, err)
	}
	if e.Team == "" && s.settings.secret() == "" {
		return "", "", fmt.Errorf("%w: a URL gets signed events: set ZORIO_WEBHOOK_SECRET or ZORIO_WEBHOOK_SECRET_FILE where the console is started", errMisused)
	}
	if e.Archive != "" && e.Archive != s.settings.Archive {
		return "", "", fmt.Errorf("%w: it reads the archive at %s: set SLUICE_ARCHIVE to that where the console is started, or resume it by sluicectl replay resume", errMisused, e.Archive)
	}
	missing, err := s.missing(r.Context(), e.Team, e.OnlyMissing, e.First, e.Last)
	if err != nil {
		return "", "", err
	}
	journal, err := replay.OpenJournal(r.Context(), s.js)
	if err != nil {
		return "", "", err
	}
	record, err := journal.Resume(r.Context(), e.ID, by.String())
	if err != nil {
		return "", "", err
	}
	entry := record.Entry()
	s.recordReplay(r, audit.ReplayResume, &entry, entry.Events-entry.Progress.Settled())
	s.run(record, missing)
	return "The replay goes on", "/replay/" + e.ID, nil
}
