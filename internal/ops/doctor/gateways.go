package doctor

import (
	"fmt"
	"slices"
	"time"

	"github.com/sluicehq/sluice/internal/ops/finding"
	"github.com/sluicehq/sluice/internal/team"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

// gateways judges what gateways said of themselves. One that was stopped is no finding while another works.
func gateways(all *finding.List, reports []*team.Gateway, now time.Time) {
	alive := slices.ContainsFunc(reports, func(g *team.Gateway) bool { return g.Alive(now) })
	if !alive && len(reports) > 0 {
		last := reports[0]
		all.Fail("gateway", fmt.Sprintf("no gateway runs: nothing is heard of process %d on %s", last.PID, last.Host),
			"start it: until then the sender's deliveries fail, and it tries each again for a while")
		all.About("", "sluicectl doctor", &last.Said)
		return
	}
	for _, g := range reports {
		switch {
		case g.Alive(now):
			gatewayIsRight(all, g)
		case g.Status != string(team.Stopped):
			all.Warn("gateway", fmt.Sprintf("nothing is heard of the gateway on %s (process %d), which is dead or hangs; others work", g.Host, g.PID),
				"start it again, or see its log; an hour after its last report it is forgotten")
			all.About("", "", &g.Said)
		}
	}
}

func gatewayIsRight(all *finding.List, g *team.Gateway) {
	for _, d := range g.Dependencies {
		detail := fmt.Sprintf("the gateway on %s: %s: %s", g.Host, d.Name, d.Detail)
		switch d.Status {
		case telemetry.Down:
			all.Fail("gateway", detail, d.Remedy)
		case telemetry.Degraded:
			all.Warn("gateway", detail, d.Remedy)
		default:
			continue
		}
		since := d.Since
		all.About("", "sluicectl doctor", &since)
	}
	if !g.Works() && !slices.ContainsFunc(g.Dependencies, func(d telemetry.Dependency) bool { return d.Status == telemetry.Down }) {
		all.Warn("gateway", fmt.Sprintf("the gateway on %s is %s", g.Host, g.Status), "see its log")
	}
}

// disks are those of the gateways that report.
func disks(all *finding.List, reports []*team.Gateway, now time.Time) {
	for _, g := range reports {
		if g.Alive(now) && g.DiskSize > 0 {
			diskHasRoom(all, g.DiskFree, g.DiskSize, "of the gateway on "+g.Host)
		}
	}
}
