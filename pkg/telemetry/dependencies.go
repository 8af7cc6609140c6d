package telemetry

import "github.com/prometheus/client_golang/prometheus"

// dependencies tells in metrics what /readyz tells.
type dependencies struct{ admin *Admin }

var dependencyStatus = prometheus.NewDesc("sluice_dependency_status",
	"1 for the current status of a dependency, 0 for the others; /readyz says why and what to do.", []string{"dependency", "status"}, nil)

// Describe implements [prometheus.Collector].
func (dependencies) Describe(all chan<- *prometheus.Desc) { all <- dependencyStatus }

// Collect implements [prometheus.Collector]. Of dependencies with the same name the worst counts: a series twice would
// fail the whole scrape.
func (d dependencies) Collect(all chan<- prometheus.Metric) {
	rank := map[Status]int{OK: 1, Degraded: 2, Down: 3}
	worst := map[string]Status{}
	for _, one := range d.admin.Readiness().Dependencies {
		if rank[one.Status] > rank[worst[one.Name]] {
			worst[one.Name] = one.Status
		}
	}
	for name, now := range worst {
		for status := range rank {
			value := 0.0
			if status == now {
				value = 1
			}
			all <- prometheus.MustNewConstMetric(dependencyStatus, prometheus.GaugeValue, value, name, string(status))
		}
	}
}
