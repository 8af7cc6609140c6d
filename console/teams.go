package main

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"time"

	"github.com/sluicehq/sluice/internal/ops/audit"
	"github.com/sluicehq/sluice/internal/ops/failures"
	"github.com/sluicehq/sluice/internal/ops/replay"
	"github.com/sluicehq/sluice/internal/team"
)

func (s *server) teamsRoutes() {
	s.page(page{path: "/teams", name: "teams", title: "Teams", menu: true, live: []string{"teams"}, data: s.teamsPage})
	s.page(page{path: "/teams/{team}", name: "team", of: "teams", live: []string{"state", "chart", "processes", "errors", "replays"}, data: s.teamPage})
	s.action(action{path: "/teams/{team}/pause", of: "teams", ask: s.askPause, do: s.doPause})
	s.action(action{path: "/teams/{team}/resume", of: "teams", ask: s.askResume, do: s.doResume})
}

// nameOfTeam is what the name of a team can be, and a token of a subject: nobody searches a stream for anything else.
var nameOfTeam = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// teamsView is how far all teams are.
type teamsView struct{ Teams []teamLine }

func (s *server) teamsPage(r *http.Request) (any, error) {
	now, _, err := s.watch.latest(r.Context())
	if err != nil {
		return nil, err
	}
	return teamsView{s.teamLines(now)}, nil
}

// teamView is everything about one team.
type teamView struct {
	teamLine
	Now     time.Time
	Errors  []*failures.Group
	Looked  int // last messages of each stream that were looked at for errors
	Replays []*replay.Entry
	More    int // replays of it that are not shown
}

// Title is the team's name.
func (t teamView) Title() string { return t.Team }

// Held reports whether an operator holds the team.
func (t teamView) Held() bool { return t.State == team.Paused }

const shownReplays = 5

func (s *server) teamPage(r *http.Request) (any, error) {
	now, _, err := s.watch.latest(r.Context())
	if err != nil {
		return nil, err
	}
	name := r.PathValue("team")
	for _, line := range s.teamLines(now) {
		if line.Team != name {
			continue
		}
		v := teamView{teamLine: line, Now: now.At, Looked: failures.Looked}
		if v.Errors, err = s.watch.errorsOf(r.Context(), name); err != nil {
			return nil, err
		}
		v.Replays, v.More, err = s.replaysOf(r, name)
		return v, err
	}
	return nil, fmt.Errorf("%w: no team is named %q; one appears when its consumer has started", errNothing, name)
}

// replaysOf are the last replays to a team.
func (s *server) replaysOf(r *http.Request, name string) (shown []*replay.Entry, more int, err error) {
	journal, err := replay.OpenJournal(r.Context(), s.js)
	if err != nil {
		return nil, 0, err
	}
	all, err := journal.List(r.Context())
	for _, e := range all {
		switch {
		case e.Team != name:
		case len(shown) < shownReplays:
			shown = append(shown, e)
		default:
			more++
		}
	}
	return shown, more, err
}

func (s *server) askPause(r *http.Request) (*question, error) {
	t, err := s.team(r)
	if err != nil {
		return nil, err
	}
	return &question{
		Title: "Pause " + t.Name + "?", Button: "Pause " + t.Name, Back: "/teams/" + t.Name, Command: "sluicectl teams pause " + t.Name,
		Would: []string{
			fmt.Sprintf("NATS would deliver nothing to %s until somebody resumes it, across restarts of everything. Its processes finish the events in flight.", t.Name),
			fmt.Sprintf("%s events are pending now. More will wait in the stream, and nothing is lost until retention drops the oldest. Other teams notice nothing.", count(t.Lag())),
		},
	}, nil
}

func (s *server) askResume(r *http.Request) (*question, error) {
	t, err := s.team(r)
	if err != nil {
		return nil, err
	}
	q := &question{Title: "Resume " + t.Name + "?", Back: "/teams/" + t.Name, Command: "sluicectl teams resume " + t.Name}
	by, since, paused := t.Paused()
	if !paused {
		q.Would = []string{t.Name + " is not paused."}
		return q, nil
	}
	held := "It is held " + by
	if since != nil {
		held += " since " + since.UTC().Format("2006-01-02 15:04:05 UTC")
	}
	q.Button = "Resume " + t.Name
	q.Would = []string{held + ".", fmt.Sprintf("%s would go on where it was, with %s pending events, as fast as its processes work.", t.Name, count(t.Lag()))}
	return q, nil
}

func (s *server) doPause(r *http.Request, by who) (said, back string, err error) {
	return s.toTeam(r, audit.TeamPause, "is paused: its events wait until it is resumed", func(t *team.Team) error {
		return t.Pause(r.Context(), s.js, by.String(), time.Now())
	})
}

func (s *server) doResume(r *http.Request, _ who) (said, back string, err error) {
	return s.toTeam(r, audit.TeamResume, "is resumed", func(t *team.Team) error {
		if _, _, paused := t.Paused(); !paused { // nothing is done that is to be written down
			return fmt.Errorf("%w: %s is not paused", errMisused, t.Name)
		}
		return t.Resume(r.Context(), s.js)
	})
}

// toTeam does something to a team and writes it down, done or failed half-way.
func (s *server) toTeam(r *http.Request, action audit.Action, done string, do func(*team.Team) error) (said, back string, err error) {
	t, err := s.team(r)
	if err != nil {
		return "", "", err
	}
	err = do(t)
	if errors.Is(err, errMisused) {
		return "", "", err
	}
	e := audit.Entry{Action: action, Teams: []string{t.Name}, Count: 1}
	e.Failed(err)
	s.record(r, e)
	if err != nil {
		return "", "", fmt.Errorf("%s %s: %w: do it again", action, t.Name, err)
	}
	return t.Name + " " + done, "/teams/" + t.Name, s.watch.look(r.Context())
}

// team is the one that the path names.
func (s *server) team(r *http.Request) (*team.Team, error) {
	t, err := team.Find(r.Context(), s.js, r.PathValue("team"))
	if errors.Is(err, team.ErrUnknown) {
		return nil, fmt.Errorf("%w: %w", errNothing, err)
	}
	return t, err
}
