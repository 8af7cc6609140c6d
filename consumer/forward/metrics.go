package main

import (
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics of the forwarder, beside those of each target's worker.
type metrics struct {
	answers *prometheus.CounterVec
	paused  *prometheus.GaugeVec
}

func newMetrics(registry prometheus.Registerer) *metrics {
	f := promauto.With(registry)
	return &metrics{
		answers: f.NewCounterVec(prometheus.CounterOpts{Name: "sluice_forward_answers_total", Help: "Requests to a target by its answer: 2xx, 3xx, 4xx, 410, 429, 5xx, or none (no answer in time)."}, []string{"target", "answer"}),
		paused:  f.NewGaugeVec(prometheus.GaugeOpts{Name: "sluice_forward_paused", Help: "1 while nothing is posted to a target, because it answered 410 or its worker cannot run. /readyz says why; SIGHUP starts it again."}, []string{"target"}),
	}
}

func (m *metrics) counter(target string) func(status int) {
	return func(status int) { m.answers.WithLabelValues(target, class(status)).Inc() }
}

func class(status int) string {
	switch status {
	case 0:
		return "none"
	case http.StatusGone, http.StatusTooManyRequests:
		return strconv.Itoa(status)
	}
	return strconv.Itoa(status/100) + "xx"
}

func (m *metrics) forget(target string) {
	labels := prometheus.Labels{"target": target}
	m.answers.DeletePartialMatch(labels)
	m.paused.DeletePartialMatch(labels)
}
