package main

import (
	"context"
	"fmt"
	"net/url"
	"sync"

	"github.com/sluicehq/sluice/internal/mask"
	"github.com/sluicehq/sluice/internal/ops/audit"
	"github.com/sluicehq/sluice/internal/ops/replay"
	"github.com/sluicehq/sluice/pkg/event"
)

// begin enters the replay into the journal and runs it.
func (r *replaying) begin(ctx context.Context, s *session, v replay.Survey, missing replay.Missing) error {
	journal, err := replay.OpenJournal(ctx, s.js)
	if err != nil {
		return err
	}
	record, err := journal.Begin(ctx, replay.Entry{
		By: operator(), Team: r.team, URL: mask.Address(r.url), Selection: r.Selection, Archive: r.archive, OnlyMissing: r.onlyMissing, Rate: r.rate,
		Events: v.Events, First: v.First, Last: v.Last,
	})
	if err != nil {
		return err
	}
	count := v.Events
	if r.onlyMissing {
		count -= v.Handled
	}
	s.recordReplay(ctx, audit.ReplayStart, record.Entry(), count)
	return r.run(ctx, s, record, missing)
}

// recordReplay writes down what was done to a replay, and how many events it is about.
func (s *session) recordReplay(ctx context.Context, action audit.Action, e replay.Entry, count int) {
	entry := audit.Entry{Action: action, What: "to " + e.Target() + ", " + what(&e), IDs: []string{e.ID}, Count: count}
	if e.Team != "" {
		entry.Teams = []string{e.Team}
	}
	s.record(ctx, entry)
}

// run brings a replay that is entered to its end, and says what became of it.
func (r *replaying) run(ctx context.Context, s *session, record *replay.Record, missing replay.Missing) error {
	e := record.Entry()
	target, done, err := r.target(s, e)
	if err != nil {
		return err
	}
	defer done()
	run := replay.Run{Target: target, Selection: replay.Selection{Archive: r.Archive}}
	if e.OnlyMissing {
		run.Missing = missing
	}
	fmt.Fprintf(s.err, "replay %s\n", e.ID)
	bar := newBar(s.err, e.Events, "replay")
	_ = bar.Set(e.Progress.Tried())
	err = replay.Do(ctx, s.js, record, run, func(p replay.Progress) { _ = bar.Set(p.Tried()) })
	if e = record.Entry(); err != nil {
		return s.notDone(e, err)
	}
	var came *replay.Came
	if e.Team != "" && e.Progress.Replayed > 0 {
		came = s.awaitTeam(ctx, &e, r.wait)
	}
	return s.tellReplay(e, came)
}

// target is where the entry says that the events go.
func (r *replaying) target(s *session, e replay.Entry) (target replay.Target, done func(), err error) {
	if e.Team != "" {
		t, err := replay.NewTeam(s.js, e.Team, e.ID)
		if err != nil {
			return nil, nil, err
		}
		return t, t.Close, nil
	}
	if err := checkURL(r.url); err != nil {
		return nil, nil, err
	}
	if r.secret == "" {
		if r.secret, err = findSecret(); err != nil {
			return nil, nil, err
		}
	}
	var mu sync.Mutex
	return replay.NewURL(r.url, r.secret, func(e *event.Event, err error) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(s.err, "refused: #%d %s, delivery %s: %v\n", e.Sequence, e.Name, printable(e.Delivery), err)
	}), func() {}, nil
}

func checkURL(text string) error {
	if u, err := url.Parse(text); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return misused("--url %q is not a URL: use http://host/path or https://host/path", mask.Address(text))
	}
	return nil
}

// notDone says why a replay ended before its end, and how to go on.
func (s *session) notDone(e replay.Entry, err error) error {
	p, why := e.Progress, err.Error()
	if e.State == replay.Interrupted {
		why = "interrupted"
	}
	refused := ""
	if p.Refused > 0 {
		refused = fmt.Sprintf(" (%d were refused)", p.Refused)
	}
	return fmt.Errorf("replay %s: %s after %d of %d events%s: `sluicectl replay resume %s --yes` goes on from there", e.ID, why, p.Settled(), e.Events, refused, e.ID)
}

// tellReplay says what a replay that is at its end came to; what was not taken is an error that says how to go on.
func (s *session) tellReplay(e replay.Entry, came *replay.Came) error {
	p := e.Progress
	if s.json() {
		if err := object(s.out, replayJSON{&e, came}); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(s.out, "replayed %s to %s%s\n", plural(p.Replayed, "event"), e.Target(), details(p))
		s.tellCame(e, came)
	}
	if p.Refused > 0 {
		return fmt.Errorf("replay %s: %s were refused, see above: `sluicectl replay resume %s --yes` tries them again", e.ID, plural(p.Refused, "event"), e.ID)
	}
	return nil
}

func (s *session) tellCame(e replay.Entry, came *replay.Came) {
	if came == nil {
		return
	}
	fmt.Fprintf(s.out, "%s: %s\n", e.Team, printable(came.String()))
	if !came.Settled() {
		fmt.Fprintf(s.err, "`sluicectl replay show %s` shows the result later\n", e.ID)
	}
}

func details(p replay.Progress) (text string) {
	if p.Duplicates > 0 {
		text += fmt.Sprintf("; %d of them were there already", p.Duplicates)
	}
	if p.Skipped > 0 {
		text += fmt.Sprintf("; %d it had processed were left out", p.Skipped)
	}
	return text
}
