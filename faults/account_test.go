package faults

import (
	"errors"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
)

const drains = 30 * time.Second // time in which some of what lies in the journal is stored, as long as there is something

// balance compares what was answered 2xx with what is stored, when no more of it comes out of the journal.
func (s *stage) balance() {
	taken, js, begin := s.sender.Taken(), s.js(), time.Now()
	for deadline, left := begin.Add(drains), len(taken); ; lasts(250 * time.Millisecond) {
		events, err := rig.Copies(s.t.Context(), js, stream.Events)
		kept, also := rig.Copies(s.t.Context(), js, stream.Quarantine)
		s.lost, s.twice = 0, 0
		for id := range taken {
			if events[id]+kept[id] == 0 {
				s.lost++
			}
		}
		for _, n := range events {
			s.twice += n - 1
		}
		if err = errors.Join(err, also); err == nil && s.lost == 0 {
			break
		}
		if s.lost < left {
			deadline, left = time.Now().Add(drains), s.lost
		}
		if time.Now().After(deadline) {
			s.expect(err == nil, "not everything can be read: %v", err)
			break
		}
	}
	if took := time.Since(begin); took > 2*time.Second {
		s.note("all is stored %s after the load", short(took))
	}
}
