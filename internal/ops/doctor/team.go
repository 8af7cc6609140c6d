package doctor

import (
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/ops/finding"
	"github.com/sluicehq/sluice/internal/team"
)

// late is how long the oldest event of a team may wait before it is behind.
const late = time.Minute

// teamIsRight adds what is wrong with a team, if something is.
func teamIsRight(all *finding.List, s *team.Status) {
	const check = "teams"
	before := len(*all)
	command, since := "sluicectl teams", s.Since
	switch {
	case s.AtRisk():
		all.Fail(check, fmt.Sprintf("%s: retention drops the first of %d pending events in %s", s.Team, s.Lag, (time.Duration(*s.DroppedIn)*time.Second).Round(time.Minute)),
			"speed up the consumer (SLUICE_CONCURRENCY, more instances), or raise SLUICE_EVENTS_MAX_AGE and SLUICE_EVENTS_MAX_BYTES of the gateway")
		since = s.Oldest
	case s.State == team.Paused:
		all.Warn(check, fmt.Sprintf("%s is paused %s: %d events pending", s.Team, s.Why, s.Lag), "sluicectl teams resume "+s.Team)
		command = "sluicectl teams resume " + s.Team
	case s.State == team.Blocked, s.State == team.Hung:
		all.Warn(check, fmt.Sprintf("%s is %s: %s", s.Team, s.State, s.Why), "repair what its handler depends on; meanwhile nothing is lost")
	case s.Lag > 0 && s.State == team.NoProcess:
		all.Warn(check, fmt.Sprintf("%s: %d events pending, and no process of it is running", s.Team, s.Lag), "start the consumer; if the team is gone for good: sluicectl teams remove "+s.Team)
	case s.Lag > 0 && s.Oldest != nil && time.Since(*s.Oldest) > late:
		all.Warn(check, fmt.Sprintf("%s is behind: %d events pending%s", s.Team, s.Lag, howFast(s)), "wait if it catches up; otherwise speed up the consumer (SLUICE_CONCURRENCY, more instances)")
		since = s.Oldest
	case s.NoReplays && s.Replaying > 0: // the archive reads none, and gets none
		all.Warn(check, fmt.Sprintf("%s: %d redriven or replayed events pending, and none of its processes has ever read REPLAY", s.Team, s.Replaying), "run it with a worker of this version")
	}
	if len(*all) > before {
		all.About(s.Team, command, since)
	}
}

// howFast says where a backlog goes, once that was measured.
func howFast(s *team.Status) string {
	switch {
	case s.State == team.CatchingUp:
		return ", catching up at this rate with " + s.Why
	case s.State == team.FallingBehind:
		return ", falling behind " + s.Why
	case s.Rate != nil:
		return fmt.Sprintf(", %.0f processed a second", *s.Rate)
	}
	return ""
}
