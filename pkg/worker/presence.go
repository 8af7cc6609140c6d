package worker

import (
	"github.com/sluicehq/sluice/internal/team"
)

// member is this process for those who ask about the team in NATS.
func (w *worker) member() team.Member {
	return team.Member{Team: w.team.Name, JS: w.js, Admin: w.admin, Prefix: w.prefix, Log: w.log, State: w.state}
}

func (w *worker) state() team.Process {
	h := w.handlerHealth()
	p := team.Process{State: team.Working, Since: h.Since, Running: w.lanes.active(), Slots: w.settings.Concurrency}
	switch stuck, _ := w.stuck.state(); {
	case w.breaker.state().cause != nil:
		p.State, p.Why = team.Blocked, h.Detail
	case stuck >= p.Slots:
		p.State, p.Why = team.Hung, h.Detail
	}
	return p
}
