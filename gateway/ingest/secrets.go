package ingest

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehq/sluice/pkg/signature"
)

// secrets are the keys of the moment, each beside what counts its use. They do not change: a rotation makes others.
type secrets struct {
	keys *signature.Keys
	uses []use // in the order of the keys
}

type use struct {
	matches prometheus.Counter
	last    prometheus.Gauge
}

func (m *metrics) secrets(keys *signature.Keys) *secrets {
	s := &secrets{keys: keys}
	for _, id := range keys.IDs() {
		s.uses = append(s.uses, use{m.matches.WithLabelValues(id), m.lastMatch.WithLabelValues(id)})
	}
	return s
}

// forget takes away the numbers of the secrets that are not among the next ones.
func (m *metrics) forget(gone, next *secrets) {
	for _, id := range gone.keys.IDs() {
		if !slices.Contains(next.keys.IDs(), id) {
			m.matches.DeleteLabelValues(id)
			m.lastMatch.DeleteLabelValues(id)
		}
	}
}

// matched counts an authentic delivery, by the index of its secret.
func (s *secrets) matched(which int, now time.Time) {
	s.uses[which].matches.Inc()
	s.uses[which].last.Set(float64(now.Unix()))
}

// SetKeys replaces the secrets, for deliveries from now on.
func (p *Path) SetKeys(keys *signature.Keys) {
	next := p.metrics.secrets(keys)
	p.metrics.forget(p.secrets.Swap(next), next)
}
