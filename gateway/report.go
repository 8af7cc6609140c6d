package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehq/sluice/internal/team"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

// report tells operators through NATS what /readyz and the metrics tell, from when the hub is open until stop is called.
func report(h *hub, admin *telemetry.Admin, data string) (stop func()) {
	started := time.Now().UTC()
	return background(func(ctx context.Context) {
		if h.wait(ctx) != nil {
			return
		}
		team.ReportGateway(ctx, h.js, func() team.Gateway {
			g := team.Gateway{Readiness: admin.Readiness(), Version: telemetry.Version(), Started: started, Answers: answersOf(admin.Registry())}
			if free, size, err := diskOf(data); err == nil {
				g.DiskFree, g.DiskSize = uint64(free), uint64(size)
			}
			return g
		})
	})
}

// answersOf counts requests by answer.
func answersOf(metrics prometheus.Gatherer) map[string]uint64 {
	all := map[string]uint64{}
	families, _ := metrics.Gather() // what could be gathered is in it
	for _, f := range families {
		if f.GetName() != "sluice_requests_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			if n := uint64(m.GetCounter().GetValue()); n > 0 {
				all[m.GetLabel()[0].GetValue()] = n
			}
		}
	}
	return all
}
