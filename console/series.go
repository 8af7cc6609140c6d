package main

import "math"

// minutes are how far back sparklines go.
const minutes = 60

// series is a value for each of the last minutes; NaN where nothing is known.
type series struct {
	newest int64 // minute since 1970
	at     [minutes]float64
}

func newSeries() *series {
	s := &series{}
	for i := range s.at {
		s.at[i] = math.NaN()
	}
	return s
}

// slot is the place of a minute; nil for one that is too old.
func (s *series) slot(minute int64) *float64 {
	if s.newest == 0 {
		s.newest = minute
	}
	for s.newest < minute {
		s.newest = max(s.newest+1, minute-minutes)
		s.at[s.newest%minutes] = math.NaN()
	}
	if minute <= s.newest-minutes {
		return nil
	}
	return &s.at[minute%minutes]
}

// most keeps the greatest value of a minute.
func (s *series) most(minute int64, v float64) {
	if at := s.slot(minute); at != nil && (math.IsNaN(*at) || v > *at) {
		*at = v
	}
}

// add adds up what happened in a minute.
func (s *series) add(minute int64, v float64) {
	if at := s.slot(minute); at != nil {
		if math.IsNaN(*at) {
			*at = 0
		}
		*at += v
	}
}

// values are those of the last minutes, the oldest first.
func (s *series) values(now int64) []float64 {
	all := make([]float64, minutes)
	for i := range all {
		all[i] = math.NaN()
		minute := now - minutes + 1 + int64(i)
		if minute > s.newest-minutes && minute <= s.newest {
			all[i] = s.at[minute%minutes]
		}
	}
	return all
}
