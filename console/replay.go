package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/sluicehq/sluice/internal/ops/replay"
)

func (s *server) replayRoutes() {
	s.page(page{path: "/replay", name: "replays", title: "Replay", menu: true, live: []string{"list"}, data: s.replaysPage})
	s.page(page{path: "/replay/new", name: "newreplay", title: "New replay", of: "replays", data: s.newReplayPage})
	s.page(page{path: "/replay/{id}", name: "replay", of: "replays", live: []string{"progress"}, data: s.replayPage})
	s.action(action{path: "/replay/start", of: "replays", ask: s.askReplay, do: s.doReplay})
	s.action(action{path: "/replay/{id}/stop", of: "replays", ask: s.askStop, do: s.doStop})
	s.action(action{path: "/replay/{id}/resume", of: "replays", ask: s.askGoOn, do: s.doGoOn})
}

// replaysView are the replays that there were, the newest first.
type replaysView struct {
	Team    string
	Replays []*replay.Entry
	More    int
}

const mostReplays = 100

func (s *server) replaysPage(r *http.Request) (any, error) {
	v := replaysView{Team: r.FormValue("team")}
	journal, err := replay.OpenJournal(r.Context(), s.js)
	if err != nil {
		return nil, err
	}
	all, err := journal.List(r.Context())
	for _, e := range all {
		switch {
		case v.Team != "" && e.Team != v.Team:
		case len(v.Replays) < mostReplays:
			v.Replays = append(v.Replays, e)
		default:
			v.More++
		}
	}
	return v, err
}

// replayView is one replay.
type replayView struct {
	*replay.Entry
	Here bool // this console runs it
	Came *replay.Came
	Late string // why Came is not known
}

// Title names it.
func (v replayView) Title() string { return "Replay to " + v.Target() }

// What is what was asked for.
func (v replayView) What() string {
	return fromArchive(v.Archive != "") + whatIsReplayed(v.Selection, v.OnlyMissing)
}

// MayResume reports whether it can go on.
func (v replayView) MayResume() bool { return v.Resumable() == nil }

// Rest is how many are left.
func (v replayView) Rest() int { return max(0, v.Events-v.Progress.Settled()) }

// ETA is how long it takes at the rate that was asked for, or at the one so far.
func (v replayView) ETA() string {
	pace := v.Rate
	if took := v.Updated.Sub(v.Started).Seconds(); pace == 0 && took > 0 {
		pace = float64(v.Progress.Settled()) / took
	}
	if v.State != replay.Running || pace <= 0 {
		return ""
	}
	return lasts(time.Duration(float64(v.Rest()) / pace * float64(time.Second)))
}

// stateKind is the colour of a replay's state.
func stateKind(state replay.State) string {
	switch state {
	case replay.Done:
		return "good"
	case replay.Running:
		return "quiet"
	case replay.Failed, replay.Refused, replay.Unreadable:
		return "bad"
	}
	return "warn"
}

// whatIsReplayed is a selection in words.
func whatIsReplayed(s replay.Selection, onlyMissing bool) string {
	var words []string
	add := func(name, value string) {
		if value != "" {
			words = append(words, name+" "+value)
		}
	}
	add("event", strings.Join(s.Events, ", "))
	add("delivery", s.Delivery)
	if s.From > 0 {
		add("events", fmt.Sprintf("#%d to #%d", s.From, s.To))
	}
	if !s.Since.IsZero() {
		add("since", s.Since.UTC().Format(layoutUTC))
	}
	if !s.Until.IsZero() {
		add("until", s.Until.UTC().Format(layoutUTC))
	}
	if onlyMissing {
		words = append(words, "only what the team had not processed")
	}
	return strings.Join(words, ", ")
}

const layoutUTC = "2006-01-02 15:04:05 UTC"

// cameWithin bounds what is found out about a replay's copies while somebody waits for a page.
const cameWithin = time.Second

func (s *server) replayPage(r *http.Request) (any, error) {
	e, err := s.replayOf(r)
	if err != nil {
		return nil, err
	}
	v := replayView{Entry: e, Here: s.runs.has(e.ID)}
	if e.Team == "" || e.Progress.Replayed == 0 {
		return v, nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), cameWithin)
	defer cancel()
	if v.Came, err = e.Came(ctx, s.js); err != nil {
		v.Came, v.Late = nil, s.explain(err)
	}
	return v, nil
}

// replayOf is the one that the path names.
func (s *server) replayOf(r *http.Request) (*replay.Entry, error) {
	journal, err := replay.OpenJournal(r.Context(), s.js)
	if err != nil {
		return nil, err
	}
	e, err := journal.Get(r.Context(), r.PathValue("id"))
	if errors.Is(err, replay.ErrNotFound) {
		return nil, fmt.Errorf("%w: %w", errNothing, err)
	}
	return e, err
}
