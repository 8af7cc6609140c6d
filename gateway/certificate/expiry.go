package certificate

import "github.com/prometheus/client_golang/prometheus"

// Expiry is the metric of when certificates expire.
type Expiry struct{ States func() []State }

var expires = prometheus.NewDesc("sluice_certificate_expiry_timestamp_seconds",
	"When the certificate that the gateway shows for a name expires; no series where there is none yet.", []string{"name"}, nil)

// Describe implements [prometheus.Collector].
func (Expiry) Describe(all chan<- *prometheus.Desc) { all <- expires }

// Collect implements [prometheus.Collector].
func (e Expiry) Collect(all chan<- prometheus.Metric) {
	for _, s := range e.States() {
		if s.Leaf != nil {
			all <- prometheus.MustNewConstMetric(expires, prometheus.GaugeValue, float64(s.Leaf.NotAfter.Unix()), s.Name)
		}
	}
}
