package ingest

import (
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	failuresNow  = prometheus.NewDesc("sluice_failures_in_a_row", "Failures in a row, as the sender counts them: Zorio suspends the URL at 50. /readyz names the cause and the remedy.", []string{"source"}, nil)
	failuresMost = prometheus.NewDesc("sluice_failures_in_a_row_max", "Longest run of failures since the start.", []string{"source"}, nil)
	failuresWhen = prometheus.NewDesc("sluice_failures_in_a_row_max_timestamp_seconds", "Time of the last failure in the longest run; 0: never.", []string{"source"}, nil)
	silentNow    = prometheus.NewDesc("sluice_silence_seconds", "Time since the last authentic delivery; missing before the first.", []string{"source"}, nil)
	silentLimit  = prometheus.NewDesc("sluice_silence_limit_seconds", "Silence after which /readyz reports it; +Inf while the usual gap is not known. Beyond it, see in the sender's console whether the URL is suspended.", []string{"source"}, nil)
	usualGap     = prometheus.NewDesc("sluice_usual_gap_seconds", "Usual time between two authentic deliveries; 0 while it is not known.", []string{"source"}, nil)
	recentShare  = prometheus.NewDesc("sluice_recent_answers_ratio", "Share of each answer among the last 1,000 answers to requests that may be the sender's. Above 0.5 for a refusal, /readyz names its likely cause.", []string{"source", "answer"}, nil)
)

// Describe implements [prometheus.Collector].
func (s *sender) Describe(all chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{failuresNow, failuresMost, failuresWhen, silentNow, silentLimit, usualGap, recentShare} {
		all <- d
	}
}

// Collect implements [prometheus.Collector].
func (s *sender) Collect(all chan<- prometheus.Metric) {
	now := time.Now()
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		all <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, append([]string{s.source.Name}, labels...)...)
	}
	gauge(failuresNow, float64(s.run.length(now)))
	gauge(failuresMost, float64(s.run.most.Load()))
	gauge(failuresWhen, float64(s.run.mostAt.Load())/float64(time.Second))
	lasts, limit, usual := s.rhythm.silence(s.recent.verified(), now)
	if s.rhythm.heard() {
		gauge(silentNow, lasts.Seconds())
	}
	gauge(usualGap, usual.Seconds())
	if limit == 0 {
		gauge(silentLimit, math.Inf(1))
	} else {
		gauge(silentLimit, limit.Seconds())
	}
	shares, _ := s.recent.shares(now)
	for _, a := range s.recent.all {
		gauge(recentShare, shares[a], a.label)
	}
}
