package main

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/sluicehq/sluice/internal/ops/audit"
	"github.com/sluicehq/sluice/internal/team"
)

func (s *server) teamsRoutes() {
	s.page(page{path: "/teams", name: "teams", title: "Teams", menu: true, live: []string{"teams"}, data: s.teamsPage})
	s.action(action{path: "/teams/{team}/pause", of: "teams", ask: s.askPause, do: s.doPause})
}

// teamsView is how far all teams are.
type teamsView struct{ Teams []teamLine }

func (s *server) teamsPage(r *http.Request) (any, error) {
	now, _, err := s.watch.latest(r.Context())
	if err != nil {
		return nil, err
	}
	return teamsView{s.teamLines(now)}, nil
}

func (s *server) askPause(r *http.Request) (*question, error) {
	t, err := s.team(r)
	if err != nil {
		return nil, err
	}
	return &question{
		Title: "Pause " + t.Name, Button: "Pause " + t.Name, Back: "/teams", Command: "sluicectl teams pause " + t.Name,
		Would: []string{fmt.Sprintf("NATS would deliver nothing to %s until it is resumed, across restarts. Its processes finish the events in flight.", t.Name)},
	}, nil
}

func (s *server) doPause(r *http.Request, by who) (said, back string, err error) {
	t, err := s.team(r)
	if err != nil {
		return "", "", err
	}
	err = t.Pause(r.Context(), s.js, by.String(), time.Now())
	e := audit.Entry{Action: audit.TeamPause, Teams: []string{t.Name}, Count: 1}
	e.Failed(err)
	s.record(r, e)
	return t.Name + " is paused", "/teams", err
}

// team is the one that the path names.
func (s *server) team(r *http.Request) (*team.Team, error) {
	t, err := team.Find(r.Context(), s.js, r.PathValue("team"))
	if errors.Is(err, team.ErrUnknown) {
		return nil, fmt.Errorf("%w: %w", errNothing, err)
	}
	return t, err
}
