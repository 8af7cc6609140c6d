package main

import (
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehq/sluice/internal/team"
)

// The gateway tells how far the teams are, because a team without a process tells nothing itself.
var (
	teamLag       = levelDesc("sluice_team_lag", "Events in EVENTS that a team has not processed, whether a process of the team runs or not. Where it rises for long, sluicectl teams says why.", "team")
	teamOldest    = levelDesc("sluice_team_oldest_age_seconds", "Age of the oldest event that a team has not processed; 0 without one.", "team")
	teamLeft      = levelDesc("sluice_team_retention_left_seconds", "Time until retention drops an event that a team has not processed; +Inf when there is none. Below a day, let the team process, or raise SLUICE_EVENTS_MAX_AGE.", "team")
	teamDead      = levelDesc("sluice_team_dead_letters", "Events that a team gave up and that lie in DEAD: see them with sluicectl dead show, and bring them back with sluicectl dead redrive.", "team")
	teamProcesses = levelDesc("sluice_team_processes", "Processes of a team that reported within the last 20 seconds.", "team")
	teamState     = levelDesc("sluice_team_state", "1 for the current state of a team, 0 for the others: working, blocked (what its handler depends on is away), hung, paused (by an operator) or no process. sluicectl teams says why.", "team", "state")

	teamDescs = []*prometheus.Desc{teamLag, teamOldest, teamLeft, teamDead, teamProcesses, teamState}
)

func teamLevels(teams []team.Level, now time.Time) (all []prometheus.Metric) {
	for _, t := range teams {
		oldest, left := 0.0, math.Inf(1)
		if !t.Oldest.IsZero() {
			oldest = max(0, now.Sub(t.Oldest).Seconds())
		}
		if t.DroppedIn < math.MaxInt64 {
			left = t.DroppedIn.Seconds()
		}
		all = append(all, level(teamLag, float64(t.Lag), t.Team), level(teamOldest, oldest, t.Team), level(teamLeft, left, t.Team),
			level(teamDead, float64(t.Dead), t.Team), level(teamProcesses, float64(t.Processes), t.Team))
		for _, state := range team.States {
			value := 0.0
			if state == t.State {
				value = 1
			}
			all = append(all, level(teamState, value, t.Team, string(state)))
		}
	}
	return all
}
